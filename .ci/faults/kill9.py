#!/usr/bin/env python3
"""kill -9 under load: an idempotent acks=all producer writes while the broker is killed and restarted again and again.

Checks that every acked record is there at its offset, no record is there twice, no offset was given twice, and offsets
are dense from 0; then stops the broker and reads its files with read_segments.py.
Usage: kill9.py RINGLOG_BINARY DIRECTORY CYCLES [SEED] [--mixed]     --mixed: a topic of class page-cache besides
Needs: confluent-kafka, crc32c (PyPI)
"""
import os, random, sys, time

from load import Load, create_topics, judge
from read_segments import check_directory
from ringlog import Ringlog

mixed = "--mixed" in sys.argv
binary, directory, cycles, *rest = [argument for argument in sys.argv[1:] if argument != "--mixed"]
seed = int(rest[0]) if rest else random.randrange(1 << 32)
random.seed(seed)
os.makedirs(directory, exist_ok=True)
print(f"seed {seed}{', mixed classes' if mixed else ''}")
topics = {"sync": {"ringlog.durability": "sync"}}
if mixed:
    topics["page-cache"] = {"ringlog.durability": "page-cache"}

broker = Ringlog(binary, os.path.join(directory, "data"), os.path.join(directory, "broker.log"),
                 **{"ringlog.internal.segment.bytes": 32768, "log.index.interval.bytes": 1024})
broker.start()
create_topics(broker.address, topics)
load = Load(broker.address, topics)
load.start()
starts = []
for cycle in range(int(cycles)):
    time.sleep(random.uniform(0.05, 0.6))
    broker.kill()
    while random.random() < 0.2:
        # In the middle of recovery, too.
        broker.spawn()
        time.sleep(random.uniform(0, 0.3))
        broker.kill()
    starts.append(broker.start())
    if cycle % 50 == 49:
        print(f"cycle {cycle + 1}: {load.number} produced, {len(load.acked)} acked, "
              f"restart median {sorted(starts)[len(starts) // 2] * 1000:.0f} ms", flush=True)
left = load.finish()
judge(f"{cycles} kills", load, left, topics)
if code := broker.stop():
    sys.exit(f"FAILED: exit code {code} of the clean stop")
print(check_directory(broker.data)[1])
