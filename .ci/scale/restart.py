#!/usr/bin/env python3
"""How long a broker is away: killed behind a load or stopped, then started on what it left.

Prints the milliseconds until the first Metadata answer, until each partition was produced to, and until each was fetched
from, the processor time until the first of these, and the bytes that the log directory held.
Usage: restart.py RINGLOG_BINARY LOADGEN_BINARY DIRECTORY [ROUNDS] [SECONDS_OF_LOAD]
Needs: crc32c (PyPI)
"""
import os, shutil, statistics, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "faults"))
from frames import (FETCH, PRODUCE, Connection, batch, fetch_body, fetch_errors, leaders, metadata, produce_body,
                    produce_errors)
from ringlog import Ringlog

binary, loadgen, directory = sys.argv[1:4]
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 2.0
LOADS = {
    "1 record x 1": ["--partitions", "1", "--connections", "8", "--records-per-batch", "1"],
    "16 KiB x 100": ["--partitions", "100", "--connections", "4", "--batch-bytes", "16k"],
    "1 MB x 1": ["--partitions", "1", "--connections", "1", "--inflight", "2", "--batch-bytes", "1000000",
                 "--record-bytes", "1000"],
}


def load(broker, topic, flags):
    return subprocess.Popen([loadgen, "produce", "--bootstrap", broker.address, "--topic", topic, "--warmup", "0s",
                             "--duration", "60s", "--quiet", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bytes_below(folder):
    return sum(os.path.getsize(os.path.join(where, name)) for where, _, names in os.walk(folder) for name in names
               if name.endswith(".log") and not name.startswith("commit-"))


def measure(broker):
    """Starts it: seconds until Metadata, until all partitions were produced to, until all were fetched from; and of
    processor time until Metadata."""
    began = time.monotonic()
    broker.start()
    ready, cpu = time.monotonic() - began, broker.cpu_seconds()
    connection = Connection(broker.port)
    topics = {}
    for topic, partition in leaders(metadata(connection)):
        topics.setdefault(topic, []).append(partition)
    for topic, partitions in topics.items():
        if errors := produce_errors(connection.ask(PRODUCE, 3, produce_body(topic, partitions, batch()))):
            sys.exit(f"FAILED: produce to {topic}: {errors[:5]}")
    produced = time.monotonic() - began
    for topic, partitions in topics.items():
        if errors := fetch_errors(connection.ask(FETCH, 4, fetch_body(topic, partitions))):
            sys.exit(f"FAILED: fetch from {topic}: {errors[:5]}")
    fetched = time.monotonic() - began
    connection.close()
    return ready, produced, fetched, cpu


print(f"{'class':<11} {'load':<13} {'end':<5} {'MiB':>6} {'ready':>7} {'produced':>9} {'fetched':>8} {'cpu':>6}   "
      f"ms, medians of {rounds}")
for durability in ("sync", "page-cache"):
    for name, flags in LOADS.items():
        taken = {"kill": [], "stop": []}
        for round in range(rounds):
            place = os.path.join(directory, "restart")
            shutil.rmtree(place, ignore_errors=True)
            os.makedirs(place)
            broker = Ringlog(binary, os.path.join(place, "data"), os.path.join(place, "broker.log"),
                             **{"ringlog.durability": durability})
            broker.start()
            loading = load(broker, "load", flags)
            time.sleep(seconds)
            broker.kill()
            loading.kill()
            loading.wait()
            size = bytes_below(broker.data) / (1 << 20)
            taken["kill"].append((size, *(1000 * after for after in measure(broker))))
            if broker.stop():
                sys.exit("FAILED: the clean stop")
            taken["stop"].append((size, *(1000 * after for after in measure(broker))))
            broker.kill()
            shutil.rmtree(place)
        for end, rows in taken.items():
            size, ready, produced, fetched, cpu = (statistics.median(column) for column in zip(*rows))
            print(f"{durability:<11} {name:<13} {end:<5} {size:>6.0f} {ready:>7.0f} {produced:>9.0f} {fetched:>8.0f} "
                  f"{cpu:>6.0f}", flush=True)
