#!/usr/bin/env python3
"""What the metadata of many partitions costs at each restart: the bytes of its log and its newest snapshot, and the time and
the processor time until the broker answers, after clean stops.

Usage: metadata.py RINGLOG_BINARY DIRECTORY [PARTITIONS=10000] [RESTARTS=10]
Needs: crc32c (PyPI)
"""
import glob, os, shutil, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "faults"))
from frames import Connection, create_topics
from ringlog import Ringlog

binary, directory = sys.argv[1:3]
partitions = int(sys.argv[3]) if len(sys.argv) > 3 else 10_000
restarts = int(sys.argv[4]) if len(sys.argv) > 4 else 10
TOPIC = 1_000
# A snapshot that a start begins is done by then.
SETTLED_S = 1.0

place = os.path.join(directory, "metadata")
shutil.rmtree(place, ignore_errors=True)
os.makedirs(place)
broker = Ringlog(binary, os.path.join(place, "data"), os.path.join(place, "broker.log"))


def kib(pattern):
    files = sorted(glob.glob(os.path.join(broker.data, "__cluster_metadata-0", pattern)))
    return [os.path.getsize(file) / 1024 for file in files]


broker.start()
connection = Connection(broker.port)
create_topics(connection, [(f"t{first}", min(TOPIC, partitions - first), {}) for first in range(0, partitions, TOPIC)])
connection.close()
print(f"{'start':>5} {'log':>9} {'snapshot':>9}   KiB {'ready':>7} {'cpu':>6}   ms")
for start in range(1, restarts + 1):
    if broker.stop():
        sys.exit("FAILED: the clean stop")
    log, snapshots = sum(kib("*.log")), kib("*-*.checkpoint")
    ready, cpu = broker.start(), broker.cpu_seconds()
    print(f"{start:>5} {log:>9.0f} {snapshots[-1] if snapshots else 0:>9.1f}       {ready * 1000:>7.0f} {cpu * 1000:>6.0f}", flush=True)
    time.sleep(SETTLED_S)
broker.stop()
shutil.rmtree(place)
