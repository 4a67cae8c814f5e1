#!/usr/bin/env python3
"""A disk that is full, and a disk that fails a write, under an idempotent acks=all load.

Full, both classes: writes get a retriable error, reads go on, and when room is made writes go on by themselves, without
a restart. EIO, class sync: writes get KAFKA_STORAGE_ERROR (retriable), and nothing more is acked until a restart, also
when the disk works again. Either way nothing acked is lost.
Usage: disk_errors.py RINGLOG_BINARY DIRECTORY [full|failing ...]
Needs: root, loop devices, e2fsprogs, nbdkit with its error filter, nbdfuse; confluent-kafka, crc32c (PyPI)
"""
import os, sys, time

from confluent_kafka import Producer

import mounts
from load import PARTITIONS, Load, create_topics, judge, read_all
from read_segments import check_directory
from ringlog import Ringlog

binary, directory, *parts = sys.argv[1:]
os.makedirs(directory, exist_ok=True)
TOPICS = {"sync": {"ringlog.durability": "sync"}, "page-cache": {"ringlog.durability": "page-cache"}}
# Too large for what is left of a block, and for the commit log.
ONE = b"one" * 70_000
SETTINGS = {"ringlog.internal.segment.bytes": 262144, "ringlog.internal.commit.log.file.blocks": 1536}


def expect(is_so, what):
    if not is_so:
        sys.exit(f"FAILED: {what}")


def send_one(address, topic, partition):
    """What one record without retries is told: an error's name, or None when it was acked."""
    told = []
    producer = Producer({"bootstrap.servers": address, "acks": "all", "retries": 0, "message.timeout.ms": 8000,
                         "log_level": 0})
    producer.produce(topic, ONE, partition=partition, on_delivery=lambda error, _: told.append(error))
    producer.flush(15)
    return told[0].name() if told and told[0] else None


def told_by_partition(address, topic):
    return {send_one(address, topic, partition) for partition in range(PARTITIONS)}


def started(mount, name, topics):
    broker = Ringlog(binary, os.path.join(mount.directory, "data"), os.path.join(directory, f"{name}.log"), **SETTINGS)
    broker.start()
    create_topics(broker.address, topics)
    load = Load(broker.address, topics, pause=0.005)
    load.start()
    return broker, load


def finish(what, broker, load):
    # The records of `send_one` are in the log too: all with one value.
    left = load.finish()
    judge(what, load, left, load.topics, besides={ONE})
    expect(broker.stop() == 0, "the clean stop")
    print(f"{what}: {check_directory(broker.data)[1]}", flush=True)


def full_disk():
    image = os.path.join(directory, "small.img")
    mounts.make("ext4", image, 400 << 20)
    mount = mounts.Mount(image, os.path.join(directory, "small"))
    mount.mount()
    broker, load = started(mount, "full", TOPICS)
    time.sleep(3)
    ballast = os.path.join(mount.directory, "ballast")
    with open(ballast, "wb") as file:
        # The load takes room meanwhile.
        while (free := os.statvfs(mount.directory).f_bavail * 4096) > 12 << 20:
            file.write(bytes(min(free - (12 << 20), 8 << 20)))
            file.flush()
    deadline, acked = time.monotonic() + 90, -1
    while len(load.acked) != acked:
        acked = len(load.acked)
        time.sleep(4)
        expect(time.monotonic() < deadline, "the disk does not fill")
    told = {topic: told_by_partition(broker.address, topic) for topic in TOPICS}
    found, _ = read_all(broker.address, TOPICS)
    missing = [at for at in list(load.acked)[:acked] if at not in found]
    print(f"full: {acked} acked, then {told}; {len(found)} records read meanwhile, {len(missing)} missing", flush=True)
    expect(not missing, "reads while the disk is full")
    expect(all(names == {"KAFKA_STORAGE_ERROR"} for names in told.values()), "what a full disk is called")
    os.remove(ballast)
    began = time.monotonic()
    while len(load.acked) == acked:
        expect(time.monotonic() < began + 60, "writes do not go on when there is room")
        time.sleep(0.05)
    print(f"full: acks again {time.monotonic() - began:.1f} s after room was made", flush=True)
    finish("full", broker, load)
    mount.unmount()
    os.remove(image)


def failing_disk():
    size, flag = 600 << 20, os.path.join(directory, "fail")
    image = os.path.join(directory, "failing.img")
    with open(image, "wb") as file:
        file.truncate(size)
    device = mounts.NbdDevice(directory, size, "--filter=error", "file", image, "error-pwrite=EIO",
                              "error-pwrite-rate=100%", f"error-pwrite-file={flag}", direct=True)
    mounts.make("ext4", device.loop)
    mount = mounts.Mount(device.loop, os.path.join(directory, "failing"), options=())
    mount.mount()
    broker, load = started(mount, "eio", {"sync": TOPICS["sync"]})
    time.sleep(2)
    open(flag, "w").close()
    time.sleep(1)
    os.remove(flag)
    time.sleep(1)
    acked, told = len(load.acked), told_by_partition(broker.address, "sync")
    time.sleep(3)
    after = len(load.acked) - acked
    print(f"EIO: {acked} acked, then {told}; {after} acked after it", flush=True)
    expect(told == {"KAFKA_STORAGE_ERROR"} and after == 0, "acked after a failed write")
    broker.kill()
    mount.unmount()
    device.detach()
    device.attach()
    mount.source = device.loop
    mount.mount()
    broker.start()
    finish("EIO, after a restart", broker, load)
    mount.unmount()
    device.close()
    os.remove(image)


if reason := mounts.unavailable("ext4", directory) or mounts.no_nbd():
    print(f"NOT RUN: {reason}")
    sys.exit(77)
for part in parts or ["full", "failing"]:
    {"full": full_disk, "failing": failing_disk}[part]()
