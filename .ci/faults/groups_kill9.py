#!/usr/bin/env python3
"""kill -9 under offset commits and rebalances: after each restart no acked commit is behind, and the groups go on.

Some groups commit without members, one has members that join, read and commit. Usage:
groups_kill9.py RINGLOG_BINARY DIRECTORY CYCLES [SEED]. Needs: confluent-kafka
"""
import os, random, sys, threading, time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from ringlog import Ringlog

binary, directory, cycles, *rest = sys.argv[1:]
os.makedirs(directory, exist_ok=True)
seed = int(rest[0]) if rest else random.randrange(1 << 32)
random.seed(seed)
print(f"seed {seed}")
GROUPS, PARTITIONS, TOPIC = 6, 4, "t"

broker = Ringlog(binary, os.path.join(directory, "data"), os.path.join(directory, "broker.log"),
                 **{"group.initial.rebalance.delay.ms": 0, "num.partitions": PARTITIONS})
broker.start()
settings = {"bootstrap.servers": broker.address, "enable.auto.commit": False, "socket.timeout.ms": 3000,
            "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "log_level": 0, "auto.offset.reset": "earliest"}
producer = Producer({"bootstrap.servers": broker.address, "enable.idempotence": True, "log_level": 0})


def produce():
    """Something for the members to read."""
    for number in range(500):
        producer.produce(TOPIC, str(number).encode(), partition=number % PARTITIONS)
    producer.flush(30)


produce()

lock, stop = threading.Lock(), threading.Event()
acked, asked, count = {}, {}, [0, 0]


def commit(consumer, group, offsets):
    """Commits, and notes what was asked for and what was acked; whether all was."""
    with lock:
        for partition, offset in offsets.items():
            asked[group, partition] = max(offset, asked.get((group, partition), -1))
    try:
        done = consumer.commit(offsets=[TopicPartition(TOPIC, p, o) for p, o in offsets.items()], asynchronous=False)
    except KafkaException:
        return False
    with lock:
        for found in done:
            if found.error is None:
                key = group, found.partition
                acked[key] = max(found.offset, acked.get(key, -1))
                count[0] += 1
    return all(found.error is None for found in done)


def alone(group):
    """Commits ever higher offsets as a consumer that is not a member."""
    consumer, offset = Consumer({**settings, "group.id": group}), 0
    while not stop.is_set():
        offset += 1
        commit(consumer, group, {p: offset for p in range(PARTITIONS)})
    consumer.close()


def member(group):
    """Reads and commits what it has read. It does not leave: a member that is gone stays in its group for a session
    after each restart, and the restarts come faster."""
    consumer = Consumer({**settings, "group.id": group, "session.timeout.ms": 6000, "heartbeat.interval.ms": 100})
    # What is not committed yet: nothing when partitions come or go.
    read = {}
    forget = lambda *_: read.clear()
    consumer.subscribe([TOPIC], on_assign=forget, on_revoke=forget, on_lost=forget)
    while not stop.is_set():
        for message in consumer.consume(500, 0.2):
            if not message.error():
                read[message.partition()] = message.offset() + 1
                count[1] += 1
        if read and commit(consumer, group, dict(read)):
            read.clear()
    consumer.close()


threads = [threading.Thread(target=alone, args=(f"alone-{n}",), daemon=True) for n in range(GROUPS)]
threads += [threading.Thread(target=member, args=("members",), daemon=True) for _ in range(2)]
for thread in threads:
    thread.start()


def check():
    with lock:
        least = dict(acked)
    for group in {group for group, _ in least}:
        consumer = Consumer({**settings, "group.id": group})
        deadline = time.time() + 30
        while True:
            try:
                found = consumer.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], 10)
                break
            except KafkaException:
                if time.time() > deadline:
                    raise
        for partition in found:
            wanted = least.get((group, partition.partition), -1)
            most = asked.get((group, partition.partition), -1)
            if not wanted <= max(partition.offset, -1) <= most:
                sys.exit(f"FAILED {group} {partition.partition}: {partition.offset}, acked {wanted}, asked {most}")
        consumer.close()


for cycle in range(int(cycles)):
    time.sleep(random.uniform(0.3, 1.5))
    broker.kill()
    broker.start()
    produce()
    check()
    if cycle % 10 == 9:
        print(f"cycle {cycle + 1}: {count[0]} commits acked, {count[1]} records read by members", flush=True)
# Sessions of members that were lost in a restart end, then the group reads on to the end.
end = 500 * (int(cycles) + 1) // PARTITIONS
began, moved, before = time.time(), time.time(), None
while (at := [acked.get(("members", p)) for p in range(PARTITIONS)]) != [end] * PARTITIONS:
    if at != before:
        moved, before = time.time(), at
    if time.time() > moved + 60:
        sys.exit(f"FAILED: the group does not go on: {at} of {end}")
    time.sleep(0.2)
print(f"the members were at the end {time.time() - began:.1f} s after the last restart")
stop.set()
for thread in threads:
    thread.join()
check()
if code := broker.stop():
    sys.exit(f"FAILED: exit code {code} of the clean stop")
broker.start()
check()
broker.stop()
print(f"ok {cycles} kills: {count[0]} commits acked, {count[1]} records read by members, no commit behind")
