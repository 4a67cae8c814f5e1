#!/usr/bin/env python3
"""Topic configs whose effect clients see: confluent-kafka (librdkafka) sets them, produces and reads back, and the files say
what was stored. A restart keeps all of it. Usage: configs.py RINGLOG_BINARY DIRECTORY
Needs: confluent-kafka (PyPI)
"""
import os, struct, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType
from ringlog import Ringlog

binary, directory = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
os.makedirs(directory, exist_ok=True)
data = os.path.join(directory, "data")
broker = Ringlog(binary, data, os.path.join(directory, "broker.log"))
broker.start()
CODECS = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def expect(is_so, what):
    if not is_so:
        broker.kill()
        sys.exit(f"FAILED: {what}")
    print(f"ok {what}", flush=True)


def admin():
    return AdminClient({"bootstrap.servers": broker.address})


def create(topic, **configs):
    configs = {key.replace("_", "."): value for key, value in configs.items()}
    client = admin()
    client.create_topics([NewTopic(topic, 1, 1, config=configs)])[topic].result(30)


def alter(topic, key, value):
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = admin()
    list(client.incremental_alter_configs([resource]).values())[0].result(30)


def produce(topic, values, **settings):
    errors = []
    settings = {key.replace("_", "."): value for key, value in settings.items()}
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5, "enable.idempotence": True, **settings})
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda error, _: errors.append(error) if error else None)
    expect(producer.flush(60) == 0, f"all deliveries of {topic} are told")
    return errors


def consume(topic, count):
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g", "auto.offset.reset": "earliest",
                         "check.crcs": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = []
    while len(values) < count:
        message = consumer.poll(30)
        if message is None or message.error():
            expect(False, f"{topic} is read: {message and message.error()}")
        values.append(message.value())
    consumer.close()
    return values


def segments(topic):
    folder = os.path.join(data, f"{topic}-0")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".log")]


def stored_codecs(topic):
    codecs = set()
    for path in segments(topic):
        with open(path, "rb") as file:
            log = file.read()
        while log:
            codecs.add(struct.unpack(">h", log[21:23])[0] & 7)
            log = log[12 + struct.unpack(">i", log[8:12])[0]:]
    return codecs


values = [f"value {n} ".encode() * 20 for n in range(2000)]
for name in CODECS:
    create(name, compression_type=name)
    expect(produce(name, values, compression_type="snappy" if name != "snappy" else "lz4") == [], f"to {name}")
create("changed", compression_type="gzip")
expect(produce("changed", values) == [], "to changed, as gzip")
alter("changed", "compression.type", "zstd")
expect(produce("changed", values) == [], "to changed, as zstd")
create("small", compression_type="uncompressed", max_message_bytes="5000")
errors = produce("small", [b"x" * 50_000], compression_type="gzip")
expect(len(errors) == 1 and errors[0].name() == "MSG_SIZE_TOO_LARGE", "what is too large when it is stored is refused")
create("allocated", preallocate="true", segment_bytes="8388608")
alter("allocated", "ringlog.durability", "page-cache")
expect(produce("allocated", values[:10]) == [], "to allocated, after its class was changed")
stat = os.stat(segments("allocated")[0])
expect(stat.st_blocks * 512 >= 8388608 > stat.st_size, "a preallocated segment has its room and the length of its records")
create("flushed", flush_messages="1", **{"ringlog_durability": "page-cache"})
expect(produce("flushed", values[:100]) == [], "to flushed, each synced")
alter("flushed", "ringlog.durability", "sync")
expect(produce("flushed", values[100:200]) == [], "to flushed, in class sync")

broker.stop()
for name, codec in CODECS.items():
    expect(stored_codecs(name) == {codec}, f"all batches of {name} are stored as {name}")
expect(stored_codecs("changed") == {1, 4}, "batches before and after the change have their codecs")
expect(os.stat(segments("allocated")[0]).st_blocks * 512 < 1 << 20, "a clean stop gives the room back")
broker.start()
for name in CODECS:
    expect(consume(name, 2000) == values, f"{name} is read as it was sent")
expect(consume("changed", 4000) == values * 2, "changed is read in order")
expect(consume("flushed", 200) == values[:200], "flushed is read")
broker.stop()
