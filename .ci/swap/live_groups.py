#!/usr/bin/env python3
"""Groups whose members live on while Kafka stops and Ringlog starts on its directory and port, and back: one of the classic
protocol, one of KIP-848, each with a confluent-kafka member that nobody tells of it, and a producer that goes on. A second member
of each is killed while no broker runs.

The next broker rebalances the group once that one's session ends: generation or epoch rises, and the first member has all
partitions. No committed offset, generation or epoch goes back, every record arrives once at least.
Usage: live_groups.py RINGLOG_BINARY JARS_DIR DIRECTORY [SWAPS=2]
"""
import atexit, collections, json, pathlib, shutil, struct, subprocess, sys, tempfile, threading, time

ci = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ci / "faults"))
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from broker import Broker
from ringlog import free_port, node_properties

binary, jars = sys.argv[1], pathlib.Path(sys.argv[2])
swaps = int(sys.argv[4]) if len(sys.argv) > 4 else 2
if not list(jars.glob("kafka_*.jar")) or not shutil.which("java"):
    print("Apache Kafka's jars or a JDK are not there")
    sys.exit(77)
directory = pathlib.Path(tempfile.mkdtemp(prefix="live-groups-", dir=sys.argv[3])).resolve()
port = free_port()
bootstrap = f"127.0.0.1:{port}"
properties = directory / "server.properties"
properties.write_text(node_properties(port, free_port(), directory / "data") + """offsets.topic.num.partitions=5
group.initial.rebalance.delay.ms=0
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.session.timeout.ms=15000
group.consumer.min.session.timeout.ms=15000
""")
log = open(directory / "brokers.log", "ab")
TOPIC, PARTITIONS, PROTOCOLS = "flow", 4, ("classic", "consumer")
CLIENT = {"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 500}
# The second member: reads, and commits nothing.
SECOND = """import json, sys
from confluent_kafka import Consumer
consumer = Consumer(json.loads(sys.argv[1]))
consumer.subscribe([sys.argv[2]])
while True:
    consumer.poll(1)
"""


def fail(what):
    sys.exit(f"FAILED: {what}, see {directory}")


def until(is_so, what, seconds=90):
    deadline = time.monotonic() + seconds
    while not is_so():
        if flow and flow.failed:
            fail(f"{what}: the producer was told {flow.failed[0]!r}")
        if time.monotonic() > deadline:
            fail(f"{what}, not within {seconds} s, {len(flow.acked) if flow else 0} records acked")
        time.sleep(0.1)


class Flow(threading.Thread):
    """A producer that outlives its brokers."""

    def __init__(self):
        super().__init__(daemon=True)
        self.is_ended, self.acked, self.failed = False, set(), []
        self.start()

    def run(self):
        producer, number = Producer({**CLIENT, "enable.idempotence": True, "linger.ms": 5}), 0
        while not self.is_ended:
            try:
                producer.produce(TOPIC, b"%d" % number, partition=number % PARTITIONS, on_delivery=self.told)
            except (BufferError, KafkaException) as error:
                return self.failed.append(error)
            producer.poll(0.01)
            number += 1
        producer.flush(60)

    def told(self, error, message):
        self.failed.append(error) if error else self.acked.add(int(message.value()))


def member_settings(protocol, session_ms):
    """A member of KIP-848 has the broker's session timeout."""
    own = {"session.timeout.ms": session_ms, "heartbeat.interval.ms": 500} if protocol == "classic" else {}
    return {**CLIENT, "group.id": protocol, "group.protocol": protocol, **own, "auto.offset.reset": "earliest",
            "enable.auto.commit": False}


def second_member(protocol):
    process = subprocess.Popen([sys.executable, "-c", SECOND, json.dumps(member_settings(protocol, 15000)), TOPIC], stderr=log)
    atexit.register(process.kill)
    return process


class Member(threading.Thread):
    """The first member of a group; it commits what it has read, half a second at a time."""

    def __init__(self, protocol):
        super().__init__(daemon=True)
        self.protocol, self.is_ended = protocol, False
        self.got, self.committed, self.epoch, self.partitions = collections.Counter(), 0, 0, 0
        self.start()

    def run(self):
        consumer = Consumer(member_settings(self.protocol, 45000))
        consumer.subscribe([TOPIC])
        committed_at = time.monotonic()
        while not self.is_ended:
            message = consumer.poll(0.1)
            self.partitions = len(consumer.assignment())
            if message and not message.error():
                self.got[int(message.value())] += 1
            if time.monotonic() - committed_at > 0.5 and self.got:
                committed_at = time.monotonic()
                try:
                    consumer.commit(asynchronous=False)
                    self.epoch = epoch_of(consumer)
                    self.committed += 1
                except KafkaException:
                    # The broker is away, or the member is about to join again.
                    continue
        consumer.close()


def epoch_of(consumer):
    """Its generation or member epoch: librdkafka writes it behind the seven letters of its mark."""
    written = consumer.consumer_group_metadata()
    if not written.startswith(b"CGMDv"):
        fail(f"the group metadata of librdkafka begins with {written[:7]}")
    return struct.unpack_from("=i", written, 7)[0]


def observe(what, partitions):
    """Of each group: its first member's generation or epoch, which has not gone back, and the committed offsets, once that has so
    many partitions and has committed again."""
    seen = {}
    for protocol in PROTOCOLS:
        until(lambda: members[protocol].partitions == partitions, f"{what}: the member of {protocol} has {partitions} partitions")
        commits = members[protocol].committed
        until(lambda: members[protocol].committed > commits + 2, f"{what}: the member of {protocol} commits")
        reader = Consumer({**CLIENT, "group.id": protocol, "enable.auto.commit": False})
        found = reader.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], timeout=30)
        reader.close()
        seen[protocol] = [members[protocol].epoch, *(partition.offset for partition in found)]
        if protocol in before and any(now < old for old, now in zip(before[protocol], seen[protocol])):
            fail(f"{what}: {protocol} went back from {before[protocol]} to {seen[protocol]}")
    print(f"{what}: epoch and committed offsets {seen}, {len(flow.acked)} records acked", flush=True)
    before.update(seen)
    return {protocol: epoch for protocol, (epoch, *_) in seen.items()}


subprocess.run([binary, "format", "--config", properties], check=True, stdout=subprocess.DEVNULL)
flow, members, before, epochs = None, {}, {}, {}
for swap in range(swaps + 1):
    name = "kafka" if swap % 2 == 0 else "ringlog"
    broker = Broker(name, binary, jars, properties, bootstrap, log, fail)
    if swap == 0:
        admin = AdminClient(CLIENT)
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(30)
        flow, members = Flow(), {protocol: Member(protocol) for protocol in PROTOCOLS}
    alone = observe(f"swap {swap}, {name}, one member", PARTITIONS)
    for protocol, epoch in epochs.items():
        if alone[protocol] <= epoch:
            fail(f"swap {swap}, {name}: {protocol} rebalanced, and its epoch is {alone[protocol]} after {epoch}")
    if swap < swaps:
        killed = [second_member(protocol) for protocol in PROTOCOLS]
        epochs = observe(f"swap {swap}, {name}, two members", PARTITIONS // 2)
        broker.stop()
        for process in killed:
            process.kill()
            process.wait()
flow.is_ended = True
flow.join(90)
for protocol, member in members.items():
    until(lambda: flow.acked <= member.got.keys(), f"{protocol} has got all of {len(flow.acked)} records")
    member.is_ended = True
    member.join(30)
    twice = sum(count - 1 for count in member.got.values())
    print(f"ok {protocol}: all of {len(flow.acked)} records, {twice} of them again")
if flow.failed:
    fail(f"the producer was told {flow.failed[0]}")
broker.stop()
