#!/usr/bin/env python3
"""Many partitions on one broker: created, produced to (each of them), killed, started again, fetched from (each of them),
with the limits of an ordinary system and 20,000 descriptors. Prints what each step took, by the clock and of the broker's
processor time (steadier where others use the machine too), memory and descriptors. Fails where a partition has not what was sent to it, and
above 300 MiB.

Beside it: how long a producer of single records waits while other clients ask for the Metadata of everything.
Usage: partitions.py RINGLOG_BINARY DIRECTORY [PARTITIONS=100000] [CLASS=sync]      the first topic has 10,000 of them
Needs: crc32c (PyPI)
"""
import os, resource, shutil, sys, threading, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "faults"))
from frames import (FETCH, PRODUCE, Connection, batch, create_topics, fetch_body, fetch_errors, leaders,
                    metadata, produce_body, produce_errors)
from ringlog import Ringlog

TOPIC_MAX, SMALL_TOPIC = 10_000, 1_000
RESIDENT_MIB_MAX = 300
BESIDE = "beside"
binary, directory = sys.argv[1:3]
wanted = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
durability = sys.argv[4] if len(sys.argv) > 4 else "sync"
descriptors = min(20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


def status(broker):
    """Resident MiB and open descriptors."""
    pid = broker.process.pid
    lines = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
    resident = int(lines["VmRSS"].split()[0]) / 1024
    if resident > RESIDENT_MIB_MAX:
        sys.exit(f"FAILED: {resident:.0f} MiB resident")
    return f"{resident:.0f} MiB resident, {len(os.listdir(f'/proc/{pid}/fd'))} descriptors"


def timed(what, broker, call):
    began, cpu = time.monotonic(), broker.cpu_seconds()
    result = call()
    took = f"{1000 * (time.monotonic() - began):>8.0f} ms, {1000 * (broker.cpu_seconds() - cpu):>7.0f} ms cpu"
    print(f"{what:<42} {took}   {status(broker)}", flush=True)
    return result


def started(what, broker):
    """Starts it; what it took until it answered."""
    ready = broker.start(300)
    print(f"{what}; ready again after {ready * 1000:.0f} ms, {1000 * broker.cpu_seconds():.0f} ms cpu   {status(broker)}",
          flush=True)


def each_topic(connection, key, version, body, errors):
    """One request per 1,000 partitions; ends the script if any is refused."""
    for name, partitions in topics.items():
        for first in range(0, partitions, SMALL_TOPIC):
            of = range(first, min(first + SMALL_TOPIC, partitions))
            if refused := errors(connection.ask(key, version, body(name, of))):
                sys.exit(f"FAILED: {name}: {refused[:5]}")


def produce_all(connection):
    one = batch()
    each_topic(connection, PRODUCE, 3, lambda name, of: produce_body(name, of, one), produce_errors)


def fetch_all(connection):
    """Each partition has the two records that were sent to it."""
    each_topic(connection, FETCH, 4, fetch_body, lambda body: fetch_errors(body, 2))


def waits(broker, seconds, others=0):
    """Milliseconds of each single-record produce, one every 2 ms, while `others` ask for the Metadata of all topics."""
    stop, asked = threading.Event(), []

    def ask():
        connection = Connection(broker.port)
        while not stop.is_set():
            asked.append(len(metadata(connection)))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(others)]
    for thread in threads:
        thread.start()
    connection, body, took = Connection(broker.port), produce_body(BESIDE, [0], batch()), []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        connection.ask(PRODUCE, 3, body)
        took.append(1000 * (time.monotonic() - began))
        time.sleep(0.002)
    stop.set()
    for thread in threads:
        thread.join()
    took.sort()
    at = lambda share: took[min(len(took) - 1, int(len(took) * share))]
    print(f"produce beside {others} clients that ask for all Metadata: p50 {at(0.5):.2f} p99 {at(0.99):.2f} "
          f"max {took[-1]:.2f} ms, {len(asked)} answers of {max(asked, default=0) / 1e6:.1f} MB", flush=True)


place = os.path.join(directory, "partitions")
shutil.rmtree(place, ignore_errors=True)
os.makedirs(place)
broker = Ringlog(binary, os.path.join(place, "data"), os.path.join(place, "broker.log"),
                 **{"ringlog.durability": durability, "auto.create.topics.enable": "false"})
broker.start()
print(f"started, class {durability}, {descriptors} descriptors allowed: {status(broker)}")
connection = Connection(broker.port, 300)
topics = {"many-0": min(TOPIC_MAX, wanted)}
timed(f"a topic with {topics['many-0']} partitions", broker, lambda: create_topics(connection, [("many-0", topics["many-0"], {})]))
each, cpu = [], broker.cpu_seconds()
while (left := wanted - sum(topics.values())) > 0:
    name = f"many-{len(topics)}"
    topics[name] = min(SMALL_TOPIC, left)
    began = time.monotonic()
    create_topics(connection, [(name, topics[name], {})])
    each.append(1000 * (time.monotonic() - began))
if each:
    print(f"{len(each)} topics with {SMALL_TOPIC} partitions, each: median {sorted(each)[len(each) // 2]:.0f} ms, "
          f"longest {max(each):.0f} ms, mean {1000 * (broker.cpu_seconds() - cpu) / len(each):.0f} ms cpu   {status(broker)}")
found = timed("Metadata of all", broker, lambda: metadata(connection))
if len(leaders(found)) != wanted:
    sys.exit(f"FAILED: {len(leaders(found))} partitions have a leader, not {wanted}")
timed("one record to each, acks=all", broker, lambda: produce_all(connection))
timed("one record more to each", broker, lambda: produce_all(connection))
create_topics(connection, [(BESIDE, 1, {})])
waits(broker, 5)
waits(broker, 5, 1)
waits(broker, 5, 4)
connection.close()
broker.kill()
started("killed", broker)
connection = Connection(broker.port, 300)
timed("a fetch from each", broker, lambda: fetch_all(connection))
timed("one record to each", broker, lambda: produce_all(connection))
connection.close()
began = time.monotonic()
if code := broker.stop(600):
    sys.exit(f"FAILED: exit code {code} of the clean stop")
started(f"stopped cleanly in {1000 * (time.monotonic() - began):.0f} ms", broker)
broker.kill()
shutil.rmtree(place)
