#!/usr/bin/env python3
"""Kafka -> Ringlog -> Kafka -> ... on one data directory and one properties file.

Each broker adds a random history (topics of one to a hundred partitions, more partitions, configs, all codecs, idempotent and,
on Kafka, transactional records, committed offsets, deleted records and topics, client quotas), with half of the seeds with
snapshots of the metadata all the time; what clients see, and kafka-configs, is written down before its clean stop and must be the
same under the next one, where the quotas delay whom they should. kafka-dump-log finds nothing wrong in what each stop leaves.
Usage: there_and_back.py RINGLOG_BINARY JARS_DIR DIRECTORY SWAPS [SEED]
"""
import pathlib, random, re, shutil, subprocess, sys, tempfile, time

ci = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ci / "faults"), str(ci / "clients" / "tools")]
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka import IsolationLevel, TopicCollection
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic
from confluent_kafka.admin import OffsetSpec, ResourceType
from broker import Broker, java
from jvm import Tools
from quotas import TOPIC as QUOTAS_TOPIC, Quotas
from ringlog import free_port, node_properties

binary, jars, swaps = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[4])
if not list(jars.glob("kafka_*.jar")) or not shutil.which("java"):
    print("Apache Kafka's jars or a JDK are not there")
    sys.exit(77)
directory = pathlib.Path(tempfile.mkdtemp(prefix="swap-", dir=sys.argv[3])).resolve()
seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.randrange(1 << 32)
random.seed(seed)
print(f"seed {seed}")
# What kafka-dump-log says about a batch or an index that is not as it should be.
WRONG = re.compile("isvalid: false|[Ii]nvalid bytes|Found |[Mm]ismatch|out of order|corrupt")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

port, controller_port = free_port(), free_port()
bootstrap = f"127.0.0.1:{port}"
properties = directory / "server.properties"
properties.write_text(node_properties(port, controller_port, directory / "data") + """offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
""")
if random.random() < 0.5:
    with properties.open("a") as more:
        more.write("metadata.log.max.record.bytes.between.snapshots=3000\nmetadata.max.retention.bytes=20000\n")
log = open(directory / "brokers.log", "ab")


def fail(what):
    sys.exit(f"FAILED: {what} (seed {seed})")


def produce(topic, partitions, count, **settings):
    failed = []
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0, **settings})
    if "transactional.id" in settings:
        producer.init_transactions(30)
        producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, f"value {number} of {settings}".encode() * random.choice([1, 1, 20]),
                         None if number % 5 == 0 else f"key {number % 50}".encode(), number % partitions,
                         headers={"h": str(number)} if number % 3 else None,
                         on_delivery=lambda error, _: failed.append(error) if error else None)
        producer.poll(0)
    if settings.get("transactional.id", "").startswith("abort"):
        producer.flush(30)
        producer.abort_transaction(30)
    elif "transactional.id" in settings:
        producer.commit_transaction(30)
    elif producer.flush(60):
        fail(f"{topic}: not all records left")
    if failed:
        fail(f"{topic}: {failed[0]}")


def settled(futures):
    """The results of what an administrator asked for."""
    return {key: future.result(30) for key, future in futures.items()}


def ask_again(ask, *errors):
    """What it answers when it does not answer one of these errors any more, which the client leaves to its caller."""
    deadline = time.time() + 60
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].name() not in errors or time.time() > deadline:
                raise
            print(f"asked again: {error}", flush=True)
            time.sleep(0.1)


def add_history(broker, generation):
    """What this life of a broker adds."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    name = f"{broker.name}-{generation}"
    if generation > 0:
        quotas.probe(f"{name}, quotas of the broker before")
    config = {"segment.bytes": "1048576", "retention.ms": str(10**11 + generation)}
    topics = [NewTopic(f"{name}-plain", random.randrange(1, 6), 1, config=config), NewTopic(f"{name}-gone", 2, 1),
              NewTopic(f"{name}-compacted", 1, 1, config={"cleanup.policy": "compact"}), NewTopic(f"{name}-empty", 2, 1)]
    if random.random() < 0.3:
        topics.append(NewTopic(f"{name}-wide", 100, 1))
    if generation == 0:
        topics.append(NewTopic(QUOTAS_TOPIC, 1, 1))
    settled(admin.create_topics(topics))
    # Kafka's broker side hears of topics behind the answer of its controller.
    deadline = time.time() + 30
    while not {topic.topic for topic in topics} <= (listed := admin.list_topics(timeout=10).topics).keys():
        if time.time() > deadline:
            fail(f"not all topics of {name} are listed")
        time.sleep(0.1)
    plain = {topic: len(listed[topic].partitions) for topic in sorted(listed) if topic.endswith(("-plain", "-wide"))}
    for topic, partitions in plain.items():
        if topic.endswith("-plain") and random.random() < 0.3:
            settled(admin.create_partitions([NewPartitions(topic, partitions + 1)]))
        for codec in CODECS:
            produce(topic, partitions, random.randrange(50, 500), **{"compression.type": codec})
        produce(topic, partitions, 200, **{"enable.idempotence": True})
        if broker.name == "kafka":
            for outcome in ["commit", "abort", "commit"]:
                produce(topic, partitions, 50, **{"transactional.id": f"{outcome}-{generation}"})
        if random.random() < 0.3:
            # Of a wide topic's first records a partition may have no more than seven.
            settled(admin.delete_records([TopicPartition(topic, 0, random.randrange(1, 8 if topic.endswith("-wide") else 20))]))
        if random.random() < 0.3:
            key, value = random.choice([("max.message.bytes", "900000"), ("segment.ms", "86400000")])
            entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            settled(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]))
    keyed = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    for number in range(500):
        keyed.produce(f"{name}-compacted", b"v%d" % number, b"k%d" % (number % 20))
    keyed.flush(30)
    produce(f"{name}-gone", 2, 100)
    settled(admin.delete_topics([f"{name}-gone"]))
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"group-{name}", "enable.auto.commit": False,
                         "log_level": 0})
    committed = [TopicPartition(f"{name}-plain", p, 10 + p + generation, metadata=f"note {p}")
                 for p in range(plain[f"{name}-plain"])]
    # The coordinator's partition may be so new that its broker has not loaded it.
    ask_again(lambda: consumer.commit(offsets=committed, asynchronous=False), "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR")
    consumer.close()
    quotas.produce()
    quotas.add_history()
    quotas.probe(name)


def read(spans, isolation):
    """The records of each partition from its start to its end."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False,
                         "isolation.level": isolation, "enable.partition.eof": True, "log_level": 0})
    left = {partition for partition, (start, end) in spans.items() if start < end}
    consumer.assign([TopicPartition(*partition, spans[partition][0]) for partition in left])
    records, deadline = {partition: [] for partition in spans}, time.time() + 120
    while left:
        if time.time() > deadline:
            fail(f"cannot be read to the end: {sorted(left)}")
        message = consumer.poll(1.0)
        if message is None:
            continue
        partition = (message.topic(), message.partition())
        if not message.error():
            records[partition].append(
                (message.offset(), message.timestamp(), message.key(), message.value(), message.headers()))
        elif message.error().name() == "_PARTITION_EOF":
            left.discard(partition)
        else:
            fail(f"{partition}: {message.error()}")
    consumer.close()
    return records


def offsets(admin, partitions, spec, isolation):
    """Of each partition."""
    def ask():
        asked = admin.list_offsets({p: spec for p in partitions}, isolation_level=isolation)
        return {(p.topic, p.partition): result.offset for p, result in settled(asked).items()}
    # Kafka answers Metadata before its partitions have their leader epochs of this start.
    return ask_again(ask, "UNKNOWN_LEADER_EPOCH", "NOT_LEADER_FOR_PARTITION")


def observe():
    """All that a client can see."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    metadata = admin.list_topics(timeout=10).topics
    names = sorted(name for name in metadata if not name.startswith("__"))
    seen = {"topics": {name: len(metadata[name].partitions) for name in sorted(metadata)}}
    described = settled(admin.describe_topics(TopicCollection(names)))
    seen["ids"] = {name: str(topic.topic_id) for name, topic in described.items()}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    configs = {resource.name: entries for resource, entries in settled(admin.describe_configs(resources)).items()}
    seen["configs"] = {name: {key: entry.value for key, entry in entries.items() if not entry.is_default}
                       for name, entries in configs.items()}
    partitions = [TopicPartition(name, p) for name in names for p in range(len(metadata[name].partitions))]
    for isolation, level in [("read_uncommitted", IsolationLevel.READ_UNCOMMITTED),
                             ("read_committed", IsolationLevel.READ_COMMITTED)]:
        starts, ends = (offsets(admin, partitions, spec, level) for spec in (OffsetSpec.earliest(), OffsetSpec.latest()))
        seen[f"offsets {isolation}"] = spans = {partition: (starts[partition], ends[partition]) for partition in ends}
        seen[f"records {isolation}"] = read(spans, isolation)
    groups = sorted(group.group_id for group in admin.list_consumer_groups().result(30).valid)
    committed = {}
    for group in groups:
        result = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(30)
        committed[group] = sorted((p.topic, p.partition, p.offset, p.metadata or "") for p in result.topic_partitions)
    seen["groups"] = {group: offsets for group, offsets in committed.items() if offsets}
    seen["kafka-configs"] = quotas.described()
    return seen


def inspect(data):
    """kafka-dump-log on all files of partitions that were written to and are not deleted."""
    logs = [log for log in sorted(data.glob("*/*.log"))
            if log.stat().st_size and not log.parent.name.startswith("__cluster") and not log.parent.name.endswith("-delete")]
    indexes = [log.with_suffix(suffix) for log in logs for suffix in (".index", ".timeindex")]
    for files, arguments in [(logs, ["--deep-iteration"]), (indexes, ["--index-sanity-check"]), (indexes, [])]:
        text, code = tools.run("org.apache.kafka.tools.DumpLogSegments", [*arguments, "--files", ",".join(map(str, files))])
        wrong = [line for line in text.splitlines() if WRONG.search(line)]
        if code or wrong:
            fail(f"kafka-dump-log {arguments} ends with {code}: {wrong[:3] or text[-300:]}")
    return len(logs)


def compare(before, after, swap):
    for what, was in before.items():
        now = after[what]
        for key in sorted(was.keys() | now.keys(), key=str):
            if was.get(key) != now.get(key):
                old, new = was.get(key), now.get(key)
                if isinstance(old, list) and isinstance(new, list):
                    at = next((i for i, (a, b) in enumerate(zip(old, new)) if a != b), min(len(old), len(new)))
                    old, new = (len(old), old[at:at + 1]), (len(new), new[at:at + 1])
                fail(f"swap {swap}: {what} of {key} was {str(old)[:300]} and is {str(new)[:300]}")


subprocess.run(java(jars, "kafka.tools.StorageTool", "format", "--standalone", "-t", "c3dhcC10aGVyZS1hbmQtYg",
                    "-c", str(properties)), stdout=log, stderr=log, check=True, timeout=90)
before, tools = None, Tools(jars)
quotas = Quotas(tools, bootstrap, directory, fail)
for swap in range(swaps + 1):
    broker = Broker("kafka" if swap % 2 == 0 else "ringlog", binary, jars, properties, bootstrap, log, fail)
    if before is not None:
        compare(before, observe(), swap)
    add_history(broker, swap)
    before = observe()
    broker.stop()
    segments = inspect(directory / "data")
    records = sum(len(records) for records in before["records read_uncommitted"].values())
    committed = sum(len(records) for records in before["records read_committed"].values())
    print(f"{broker.name}: {len(before['topics'])} topics, {records} records, {committed} committed, "
          f"{len(before['groups'])} groups, {segments} segments inspected, quotas delayed {quotas.delayed} of {quotas.probes}",
          flush=True)
tools.end()
print(f"{swaps} swaps: topics, ids, configs, offsets, records of both isolation levels, committed offsets and "
      "quotas are the same")
