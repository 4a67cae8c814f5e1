#!/usr/bin/env python3
"""Processor time of the broker per request on io_uring and on epoll: two brokers of one shard share a core, the load generator has
another, and each load runs on both in turn, in pairs whose order changes.

Usage: drivers.py RINGLOG_BINARY LOADGEN_BINARY DIRECTORY [PAIRS=5] [SECONDS=8]      by hand: three minutes per pair
"""
import json, os, pathlib, statistics, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from ringlog import Ringlog

binary, loadgen, directory = sys.argv[1:4]
pairs, seconds = (int(number) for number in (sys.argv[4:] + ["5", "8"][len(sys.argv) - 4:]))
directory = pathlib.Path(tempfile.mkdtemp(prefix="drivers-", dir=directory)).resolve()
RECORD, BATCH = ["--records-per-batch", "1", "--record-bytes", "100"], ["--batch-bytes", "16k"]
EIGHT, FOUR, RATE = ["--connections", "8", "--inflight", "5"], ["--connections", "4", "--inflight", "5"], ["--rate", "5k/s"]


def produce(durability, partitions, *more, topic=None):
    topic = topic or f"{durability}-{partitions}"
    return ["produce", "--topic", topic, "--partitions", str(partitions), "--durability", durability, *more]


COMMIT = ["commit", "--topic", "committed", "--partitions", "10", "--groups", "100", "--connections", "8", "--inflight", "8"]
FILL = [produce("page-cache", 1, *RECORD, "--rate", "20k/s", topic="records"),
        produce("page-cache", 10, *BATCH, "--rate", "500/s", topic="batches")]
LOADS = {
    "produce 1 record, page-cache": produce("page-cache", 1, *EIGHT, *RECORD),
    "produce 1 record, sync": produce("sync", 1, *EIGHT, *RECORD),
    "produce 16 KiB, page-cache": produce("page-cache", 100, *FOUR, *BATCH),
    "produce 16 KiB, sync": produce("sync", 100, *FOUR, *BATCH),
    "fetch 1 record": ["fetch", "--topic", "records", "--partitions", "1", *EIGHT, "--random"],
    "fetch 1 MiB": ["fetch", "--topic", "batches", "--partitions", "10", "--connections", "1", "--inflight", "2"],
    "commit": COMMIT,
    "produce 1 record, page-cache, 5,000 a second": produce("page-cache", 1, *EIGHT, *RECORD, *RATE),
    "produce 1 record, sync, 5,000 a second": produce("sync", 1, *EIGHT, *RECORD, *RATE),
    "commit, 5,000 a second": [*COMMIT, *RATE],
}


def start(driver):
    """A broker on a driver; logs are kept short."""
    broker = Ringlog(binary, directory / driver, directory / f"{driver}.log", **{
        "ringlog.io": driver, "log.segment.bytes": 1 << 24, "log.retention.bytes": 1 << 24, "log.retention.check.interval.ms": 3000})
    broker.arguments = ["taskset", "-c", "0", *broker.arguments, "--shards", "1", "--memory", "2G"]
    broker.start()
    return broker


def run(broker, load, duration):
    """Microseconds of the broker's processor time per request, and requests per second."""
    report = directory / "report.json"
    arguments = ["--bootstrap", broker.address, "--broker-pid", str(broker.process.pid), "--warmup", "1s",
                 "--duration", f"{duration}s", "--json", str(report), "--quiet"]
    subprocess.run(["taskset", "-c", "1", loadgen, *load, *arguments], check=True, stdout=subprocess.DEVNULL)
    result = json.loads(report.read_text())
    return result["cpu"]["broker"]["us_per_request"], result["requests_per_second"]


brokers = {driver: start(driver) for driver in ("io_uring", "epoll")}
for broker in brokers.values():
    for load in FILL:
        run(broker, load, 3)
seen = {(name, driver): [] for name in LOADS for driver in brokers}
for pair in range(pairs):
    for name, load in LOADS.items():
        for driver in sorted(brokers, reverse=pair % 2 == 0):
            seen[name, driver].append(run(brokers[driver], load, seconds))
print("us per request, medians (range); requests per second; epoll / io_uring in each pair; load of the machine "
      f"{os.getloadavg()[1]:.1f}")
for name in LOADS:
    of_driver = [seen[name, driver] for driver in brokers]
    texts = [f"{statistics.median(us for us, _ in runs):.1f} ({min(runs)[0]:.1f}-{max(runs)[0]:.1f}) "
             f"{statistics.median(rate for _, rate in runs):,.0f}/s" for runs in of_driver]
    ratios = sorted(epoll[0] / uring[0] for uring, epoll in zip(*of_driver))
    print(f"{name:45} | {' | '.join(texts)} | {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")
for broker in brokers.values():
    if broker.stop():
        sys.exit("FAILED: no clean stop")
