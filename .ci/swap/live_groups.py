#!/usr/bin/env python3
"""Groups whose members live on while Kafka stops and Ringlog starts on its directory and port, and back: one of the classic
protocol, one of KIP-848, each with one confluent-kafka member that nobody tells of it, and a producer that goes on.

Members are in their group again, no committed offset and no generation or epoch goes back, every record arrives once at least.
Usage: live_groups.py RINGLOG_BINARY JARS_DIR DIRECTORY [SWAPS=2]
"""
import collections, pathlib, shutil, struct, subprocess, sys, tempfile, threading, time

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
group.consumer.session.timeout.ms=60000
group.consumer.max.session.timeout.ms=60000
""")
log = open(directory / "brokers.log", "ab")
TOPIC, PARTITIONS, PROTOCOLS = "flow", 4, ("classic", "consumer")
CLIENT = {"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 500}


def fail(what):
    sys.exit(f"FAILED: {what}, see {directory}")


def until(is_so, what, seconds=90):
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            fail(f"{what}, not within {seconds} s")
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
            producer.produce(TOPIC, b"%d" % number, partition=number % PARTITIONS, on_delivery=self.told)
            producer.poll(0.01)
            number += 1
        producer.flush(60)

    def told(self, error, message):
        self.failed.append(error) if error else self.acked.add(int(message.value()))


class Member(threading.Thread):
    """The one member of a group; it commits what it has read, half a second at a time."""

    def __init__(self, protocol):
        super().__init__(daemon=True)
        self.protocol, self.is_ended = protocol, False
        self.got, self.committed, self.epoch = collections.Counter(), 0, 0
        self.start()

    def run(self):
        own = {"session.timeout.ms": 45000, "heartbeat.interval.ms": 500} if self.protocol == "classic" else {}
        consumer = Consumer({**CLIENT, "group.id": self.protocol, "group.protocol": self.protocol, **own,
                             "auto.offset.reset": "earliest", "enable.auto.commit": False})
        consumer.subscribe([TOPIC])
        committed_at = time.monotonic()
        while not self.is_ended:
            message = consumer.poll(0.1)
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


def observe(what):
    """Of each group: its member's generation or epoch and its committed offsets, once it has committed again."""
    seen = {}
    for protocol in PROTOCOLS:
        until(lambda: members[protocol].committed > commits[protocol] + 2, f"{what}: the member of {protocol} commits")
        reader = Consumer({**CLIENT, "group.id": protocol, "enable.auto.commit": False})
        found = reader.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], timeout=30)
        reader.close()
        seen[protocol] = [members[protocol].epoch, *(partition.offset for partition in found)]
        commits[protocol] = members[protocol].committed
    return seen


subprocess.run([binary, "format", "--config", properties], check=True, stdout=subprocess.DEVNULL)
members, commits = {}, dict.fromkeys(PROTOCOLS, 0)
flow, before = None, {}
for swap in range(swaps + 1):
    name = "kafka" if swap % 2 == 0 else "ringlog"
    broker = Broker(name, binary, jars, properties, bootstrap, log, fail)
    if swap == 0:
        admin = AdminClient(CLIENT)
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(30)
        flow, members = Flow(), {protocol: Member(protocol) for protocol in PROTOCOLS}
    for when in ("began", "went on"):
        seen = observe(f"swap {swap}, {name} {when}")
        for protocol, was in before.items():
            if any(now < old for old, now in zip(was, seen[protocol])):
                fail(f"swap {swap}, {name} {when}: {protocol} went back from {was} to {seen[protocol]}")
        before = seen
    print(f"{name}: epoch and committed offsets {seen}, {len(flow.acked)} records acked", flush=True)
    if swap < swaps:
        broker.stop()
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
