#!/usr/bin/env python3
"""The same bytes back: all codecs, headers, null keys and values, 0 B to 1 MiB, offsets dense and in order.

Records are made from their number, so that what comes back is compared with what went in without keeping it.
Usage: same_bytes.py HOST:PORT RECORDS PARTITIONS
"""
import os, sys, threading, time, uuid
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap, records, partitions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
SIZES = [0, 1, 7, 40, 100, 100, 100, 250, 999]
# Half random and half text, so that codecs have something to do and cannot do it all.
POOL = os.urandom(1 << 20) + b"the quick brown fox jumps over the lazy dog " * (2 << 14)


def made(partition, number):
    """Key, value and headers of a partition's record with this number."""
    mixed = (number * 2654435761 + partition * 40503) & 0xFFFFFFFF
    if mixed % 20011 == 1:
        size = 1 << 20
    elif mixed % 997 == 1:
        size = 1 << 14
    else:
        size = SIZES[mixed % len(SIZES)]
    start = mixed % (len(POOL) - size)
    value = None if mixed % 13 == 5 else POOL[start:start + size]
    key = None if mixed % 3 == 0 else b"%d-%d" % (partition, number)
    headers = None if mixed % 4 else [("h1", b"%d" % number), ("h1", b""), ("null", None)]
    return key, value, headers


def produce(topic, codec, count):
    failed = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": codec,
                         "message.max.bytes": 3000000, "linger.ms": 20, "queue.buffering.max.kbytes": 200000})

    def delivered(error, message):
        if error:
            failed.append(str(error))

    for number in range(count):
        for partition in range(partitions):
            key, value, headers = made(partition, number)
            while True:
                try:
                    producer.produce(topic, value, key, partition, headers=headers, on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(300)
    if failed or left:
        raise AssertionError(f"{codec}: {left} unsent, {len(failed)} failed: {failed[:3]}")


def consume(topic, codec, count):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False,
                         "queued.max.messages.kbytes": 100000, "fetch.message.max.bytes": 2000000})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    following = [0] * partitions
    left, deadline = count * partitions, time.time() + 600
    while left and time.time() < deadline:
        for message in consumer.consume(5000, 0.2):
            if message.error():
                raise AssertionError(f"{codec}: {message.error()}")
            partition, offset = message.partition(), message.offset()
            if offset != following[partition]:
                raise AssertionError(f"{codec}: partition {partition} goes on at {offset}, not {following[partition]}")
            key, value, headers = made(partition, offset)
            if (message.key(), message.value(), message.headers()) != (key, value, headers):
                raise AssertionError(f"{codec}: partition {partition}, offset {offset}: not what was sent")
            following[partition] += 1
            left -= 1
    consumer.close()
    # A consumer without an assignment: no long poll stands in front of what it asks.
    asking = Consumer({"bootstrap.servers": bootstrap, "group.id": "none"})
    ends = [asking.get_watermark_offsets(TopicPartition(topic, p), 10) for p in range(partitions)]
    asking.close()
    if left or ends != [(0, count)] * partitions:
        raise AssertionError(f"{codec}: {left} records missing, offsets {ends[:4]}")


admin = AdminClient({"bootstrap.servers": bootstrap})
count = max(1, records // len(CODECS) // partitions)
began = time.time()
for codec in CODECS:
    topic = f"same-bytes-{codec}-{uuid.uuid4().hex[:6]}"
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)
    produce(topic, codec, count)
    consume(topic, codec, count)
    print(f"ok same bytes {codec}: {count * partitions} records over {partitions} partitions", flush=True)
print(f"{count * partitions * len(CODECS)} records came back as they went in, {time.time() - began:.0f} s")
