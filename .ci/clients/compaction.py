#!/usr/bin/env python3
"""A compacted topic with confluent-kafka against a broker that this script starts: keys are written over and over, some
deleted, with each codec, plain and idempotent; cleaning is waited for, and what a consumer reads is compared with what was
written. In between the broker is stopped, killed, and (with KAFKA_LIB) Apache Kafka serves the same directory and cleans on.
Usage: compaction.py RINGLOG_BINARY [RECORDS]     KAFKA_LIB=folder of Kafka's jars"""
import glob, json, os, random, re, shutil, signal, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from ringlog import free_port, node_properties

BINARY, RECORDS = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 30_000
KEYS, TOPIC, CODECS = 500, "compacted", ["none", "gzip", "snappy", "lz4", "zstd"]
KAFKA_LIB = os.environ.get("KAFKA_LIB")
if KAFKA_LIB and not (shutil.which("java") and glob.glob(f"{KAFKA_LIB}/kafka-clients-*.jar")):
    print("without Apache Kafka: no Java, or no jars")
    KAFKA_LIB = None
random.seed(7)

HOME = tempfile.mkdtemp(prefix="compaction-")
DATA, PROPERTIES = f"{HOME}/data", f"{HOME}/server.properties"
PORT, CONTROLLER = free_port(), free_port()
ADDRESS = f"127.0.0.1:{PORT}"
with open(PROPERTIES, "w") as file:
    file.write(node_properties(PORT, CONTROLLER, DATA) + """offsets.topic.num.partitions=1
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=10000000
log.retention.check.interval.ms=1000
""")


class Broker:
    """The broker that serves the directory now."""

    def __init__(self, *command, env=None):
        self.log = open(f"{HOME}/broker.log", "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=env)
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit(f"the broker ended: {open(self.log.name).read()[-2000:]}")
            try:
                AdminClient({"bootstrap.servers": ADDRESS, "log_level": 0}).list_topics(timeout=1)
                return
            except KafkaException:
                time.sleep(0.1)
        sys.exit("the broker does not answer")

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(60)


def ringlog():
    return Broker(BINARY, "--config", PROPERTIES, "--format", "--shards", "2")


def kafka():
    classpath = f"{KAFKA_LIB}/*"
    return Broker("java", "-Xmx512m", "-cp", classpath, "kafka.Kafka", PROPERTIES)


def write(count, expected, start, idempotent, codec):
    producer = Producer({"bootstrap.servers": ADDRESS, "enable.idempotence": idempotent,
                         "compression.type": codec, "linger.ms": 5, "batch.num.messages": 60})
    for number in range(start, start + count):
        key = f"key {random.randrange(KEYS)}"
        value = None if random.random() < 0.2 else f"{number} {'x' * random.randrange(200)}"
        producer.produce(TOPIC, key=key, value=value, partition=hash_of(key),
                         on_delivery=lambda error, _: sys.exit(f"not delivered: {error}") if error else None)
        expected[key] = value
        producer.poll(0)
    if producer.flush(60):
        sys.exit("not everything was delivered")


def hash_of(key):
    return int(key.split()[1]) % 2


def read():
    """Everything: the last value of each key (None: a tombstone), and partition, offset and key of each record."""
    consumer = Consumer({"bootstrap.servers": ADDRESS, "group.id": "reader", "auto.offset.reset": "earliest",
                         "enable.partition.eof": True, "enable.auto.commit": False, "check.crcs": True})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(2)])
    view, records, at_end = {}, [], set()
    while len(at_end) < 2:
        message = consumer.poll(30)
        if message is None:
            sys.exit("the consumer gets nothing")
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                sys.exit(f"read failed: {message.error()}")
            at_end.add(message.partition())
            continue
        key = message.key().decode()
        records.append((message.partition(), message.offset(), key))
        view[key] = message.value() and message.value().decode()
    consumer.close()
    for partition in range(2):
        offsets = [offset for of, offset, _ in records if of == partition]
        assert offsets == sorted(set(offsets)), f"offsets of {partition} are not in order"
    return view, records


def log_bytes():
    return sum(os.path.getsize(path) for path in glob.glob(f"{DATA}/{TOPIC}-*/*.log"))


def active_base(partition):
    """At most where the active segment begins, which is never cleaned."""
    return max(int(os.path.basename(path)[:20]) for path in glob.glob(f"{DATA}/{TOPIC}-{partition}/*.log"))


def wait_for_cleaning(what):
    """Until each key is there once in the segments that can be cleaned, or fail."""
    deadline = time.monotonic() + 90
    while True:
        bases = {partition: active_base(partition) for partition in range(2)}
        _, records = read()
        ended = [key for partition, offset, key in records if offset < bases[partition]]
        if ended and len(ended) == len(set(ended)):
            print(f"{what}: {len(records)} records left, {len(ended)} of them in ended segments, {log_bytes()} bytes of log")
            return
        if time.monotonic() > deadline:
            sys.exit(f"{what}: {len(ended) - len(set(ended))} of {len(ended)} records are still to be cleaned")
        time.sleep(0.5)


def compare(expected, what):
    view, _ = read()
    live = {key: value for key, value in expected.items() if value is not None}
    found = {key: value for key, value in view.items() if value is not None}
    wrong = [key for key in live.keys() | found.keys() if live.get(key) != found.get(key)]
    if wrong:
        sys.exit(f"{what}: {len(wrong)} keys are wrong, among them {wrong[0]}: {found.get(wrong[0])!r} for {live.get(wrong[0])!r}")
    print(f"{what}: {len(live)} keys with a value, as written")


def checkpoint():
    text = open(f"{DATA}/cleaner-offset-checkpoint").read()
    return {tuple(line.split()[:2]): int(line.split()[2]) for line in text.splitlines()[2:]}


broker = ringlog()
try:
    admin = AdminClient({"bootstrap.servers": ADDRESS})
    config = {"cleanup.policy": "compact", "internal.segment.bytes": "20000", "min.cleanable.dirty.ratio": "0",
              "delete.retention.ms": "500", "file.delete.delay.ms": "100"}
    admin.create_topics([NewTopic(TOPIC, 2, config=config)])[TOPIC].result(10)
    refused = []
    producer = Producer({"bootstrap.servers": ADDRESS})
    producer.produce(TOPIC, value="without a key", partition=0, on_delivery=lambda error, _: refused.append(error))
    producer.flush(10)
    assert refused and refused[0].code() == KafkaError.INVALID_RECORD, refused
    print(f"a record without a key: {refused[0]}")

    expected, written = {}, 0
    for turn, codec in enumerate(CODECS):
        write(RECORDS // 5, expected, written, turn % 2 == 0, codec)
        written += RECORDS // 5
        wait_for_cleaning(f"{codec}")
        compare(expected, f"{codec}")
    broker.end(signal.SIGKILL)
    broker = ringlog()
    compare(expected, "after kill -9")
    write(RECORDS // 5, expected, written, True, "lz4")
    broker.end(signal.SIGKILL)
    broker = ringlog()
    wait_for_cleaning("after kill -9")
    compare(expected, "after kill -9 with writes")
    broker.end(signal.SIGTERM)
    ends = checkpoint()
    assert {(TOPIC, "0"), (TOPIC, "1")} <= ends.keys() and min(ends.values()) > 0, ends
    print(f"cleaner-offset-checkpoint: {ends}")
    for path in glob.glob(f"{DATA}/{TOPIC}-*/*"):
        assert not path.endswith((".cleaned", ".swap")), path
    if KAFKA_LIB:
        for path in sorted(glob.glob(f"{DATA}/{TOPIC}-*/*.log")):
            dump = subprocess.run(["java", "-Xmx256m", "-cp", f"{KAFKA_LIB}/*", "org.apache.kafka.tools.DumpLogSegments", "--files",
                                   f"{path},{path[:-4]}.index,{path[:-4]}.timeindex", "--deep-iteration"],
                                  capture_output=True, text=True)
            # An emptied batch keeps its timestamp, and the dump looks for a record of it.
            said = re.sub(r"Found timestamp mismatch in :.*\n.*log timestamp: -1\n", "", dump.stdout + dump.stderr)
            assert dump.returncode == 0 and not re.search("(?i)mismatch|isvalid: false|exception", said), said
        print("kafka-dump-log finds nothing wrong")
        broker = kafka()
        compare(expected, "Apache Kafka on this directory")
        write(RECORDS // 5, expected, written, True, "zstd")
        wait_for_cleaning("Apache Kafka goes on")
        compare(expected, "Apache Kafka went on")
        broker.end(signal.SIGTERM)
        assert {(TOPIC, "0"), (TOPIC, "1")} <= checkpoint().keys()
        broker = ringlog()
        compare(expected, "back to Ringlog")
        write(RECORDS // 5, expected, written, True, "snappy")
        wait_for_cleaning("Ringlog goes on")
        compare(expected, "Ringlog went on")
    broker.end(signal.SIGTERM)
    print("compaction: all as expected")
finally:
    broker.process.poll() is None and broker.process.kill()
    if "KEEP" not in os.environ:
        shutil.rmtree(HOME, ignore_errors=True)
    else:
        print(HOME)
