#!/usr/bin/env python3
"""A transaction that Kafka had not ended when it stopped: Ringlog refuses the directory, names it, and changes nothing. With
--accept-open-transactions it serves, readers of committed data stop in front of it, and Kafka, started again, ends it.

Offsets that were committed in transactions are answered as under Kafka: those of one that committed, not those of one that aborted,
and those of the open one are unstable for who asks for stable ones.
Usage: open_transaction.py RINGLOG_BINARY JARS_DIR DIRECTORY
"""
import hashlib, pathlib, shutil, struct, subprocess, sys, tempfile, time

ci = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ci / "faults"), str(ci / "scale")]
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from broker import Broker
from frames import Connection
from ringlog import free_port, node_properties

binary, jars = sys.argv[1], pathlib.Path(sys.argv[2])
if not list(jars.glob("kafka_*.jar")) or not shutil.which("java"):
    print("Apache Kafka's jars or a JDK are not there")
    sys.exit(77)
directory = pathlib.Path(tempfile.mkdtemp(prefix="open-transaction-", dir=sys.argv[3])).resolve()
data, port = directory / "data", free_port()
bootstrap = f"127.0.0.1:{port}"
properties = directory / "server.properties"
properties.write_text(node_properties(port, free_port(), data) + """transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
offsets.topic.num.partitions=3
transaction.state.log.num.partitions=3
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
""")
log = open(directory / "brokers.log", "ab")
TOPIC, ID, GROUP = "orders", "never-ended", "readers"
OFFSET_FETCH, UNSTABLE_OFFSET_COMMIT = 9, 88


def fail(what):
    sys.exit(f"FAILED: {what}, see {directory}")


def expect(is_so, what):
    if not is_so:
        fail(what)


def start(name, *options):
    return Broker(name, binary, jars, properties, bootstrap, log, fail, options=options)


def values(isolation):
    """What such a reader sees of the topic within three seconds behind its last record."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": isolation, "isolation.level": isolation,
                       "enable.auto.commit": False, "log_level": 0})
    reader.assign([TopicPartition(TOPIC, 0, 0)])
    found, deadline = [], time.time() + 3
    while time.time() < deadline:
        message = reader.poll(0.2)
        if message and not message.error():
            found.append(message.value().decode())
            deadline = time.time() + 3
    reader.close()
    return found


def in_transaction(producer, offsets):
    """Begins a transaction that commits these offsets of the group, by partition."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP, "log_level": 0})
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(TOPIC, *at) for at in offsets.items()], reader.consumer_group_metadata(), 60)
    reader.close()


def committed(require_stable):
    """Of each partition the committed offset, or the error. As frames of version 7: librdkafka asks again until it gets an offset."""
    compact = lambda name: bytes([len(name) + 1]) + name.encode()
    partitions = struct.pack(">b3i", 4, 0, 1, 2)
    body = b"\0" + compact(GROUP) + b"\2" + compact(TOPIC) + partitions + b"\0" + struct.pack(">?b", require_stable, 0)
    connection, deadline = Connection(port), time.time() + 30
    while True:
        answer = connection.ask(OFFSET_FETCH, 7, body)
        code = struct.unpack(">h", answer[-3:-1])[0]
        if code == 0:
            break
        # The coordinator loads.
        expect(time.time() < deadline, f"OffsetFetch answers {code}")
        time.sleep(0.1)
    connection.close()
    # In front of them: tags, throttle time, one topic with its name, three partitions; each has empty metadata and no tags.
    found = struct.iter_unpack(">iqibhb", answer[1 + 4 + 1 + len(compact(TOPIC)) + 1:-4])
    return [code or offset for _, offset, _, _, code, _ in found]


def expect_offsets(stable, any_of_them, under):
    found = committed(True), committed(False)
    expect(found == (stable, any_of_them), f"under {under} the group has committed {found}")


def contents():
    """A digest of each file but the lock."""
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {path.relative_to(data): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


subprocess.run([binary, "format", "--config", properties], check=True, stdout=subprocess.DEVNULL)
kafka = start("kafka")
admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
admin.create_topics([NewTopic(TOPIC, 3, 1)])[TOPIC].result(30)
plain = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
plain.produce(TOPIC, "before", partition=0)
expect(plain.flush(30) == 0, "the first record was not taken")
ended = Producer({"bootstrap.servers": bootstrap, "transactional.id": "ended", "log_level": 0})
ended.init_transactions(60)
in_transaction(ended, {0: 1, 1: 1, 2: 1})
ended.commit_transaction(60)
in_transaction(ended, {1: 7})
ended.abort_transaction(60)
in_transaction(ended, {2: 2})
ended.commit_transaction(60)
# Longer than Kafka takes to stop and to be looked at, shorter than anybody wants to wait.
open_one = Producer({"bootstrap.servers": bootstrap, "transactional.id": ID, "transaction.timeout.ms": 40000, "log_level": 0})
open_one.init_transactions(60)
in_transaction(open_one, {0: 3})
open_one.produce(TOPIC, "open", partition=0)
expect(open_one.flush(30) == 0, "the open transaction's record was not taken")
plain.produce(TOPIC, "behind", partition=0)
expect(plain.flush(30) == 0, "the last record was not taken")
expect_offsets([UNSTABLE_OFFSET_COMMIT, 1, 2], [1, 1, 2], "Kafka")
kafka.stop()

before = contents()
refused = subprocess.run([binary, properties], capture_output=True, text=True, timeout=60)
expect(refused.returncode == 1, f"Ringlog ended with {refused.returncode}")
expect(f"transactions have not ended: {ID} (Ongoing)" in refused.stderr, f"it says {refused.stderr}")
expect(contents() == before, "a refused start changed the directory")
print(f"ok refused, nothing changed: {refused.stderr.strip().splitlines()[-1]}", flush=True)

ringlog = start("ringlog", "--accept-open-transactions")
seen = values("read_uncommitted"), values("read_committed")
expect(seen == (["before", "open", "behind"], ["before"]), f"readers see {seen}")
expect_offsets([UNSTABLE_OFFSET_COMMIT, 1, 2], [1, 1, 2], "Ringlog")
ringlog.stop()
print("ok accepted: readers of committed data stop in front of it, and its offsets are unstable", flush=True)

kafka = start("kafka")
deadline = time.time() + 120
while (seen := values("read_committed")) != ["before", "behind"]:
    if time.time() > deadline:
        fail(f"under Kafka readers of committed data see {seen}")
expect_offsets([1, 1, 2], [1, 1, 2], "Kafka, which has ended it,")
kafka.stop()
print("ok Kafka ended it, and readers of committed data go on", flush=True)
ringlog = start("ringlog")
expect(values("read_committed") == ["before", "behind"], "Ringlog shows what was aborted")
expect_offsets([1, 1, 2], [1, 1, 2], "Ringlog")
ringlog.stop()
print("ok Ringlog again: what was aborted is not seen")
# The client would wait for its transaction at its end.
open_one.purge()
