#!/usr/bin/env python3
"""Power cuts under load on loop-mounted ext4 and XFS: `xfs_io -x -c shutdown`, unmount, remount (the journal recovers),
start again, while one idempotent acks=all producer goes on. Class sync.

Checks after each cut that no log ends below what was acked, and at the end every acked record, duplicates, and gaps;
then read_segments.py on the stopped directory. It cannot find a missing DSYNC (write_log.py does): a shutdown keeps
what O_DIRECT wrote without a flush.
Usage: power_cut.py RINGLOG_BINARY DIRECTORY CYCLES [SEED] [ext4|xfs ...]
Needs: root, loop devices, xfsprogs, e2fsprogs; confluent-kafka, crc32c (PyPI)
"""
import os, random, sys, time

from confluent_kafka import Consumer, TopicPartition

import mounts
from load import PARTITIONS, Load, create_topics, judge
from read_segments import check_directory
from ringlog import Ringlog, seeded

TOPIC = "power-cut"


def ends(address):
    consumer = Consumer({"bootstrap.servers": address, "group.id": "none", "log_level": 0})
    try:
        return [consumer.get_watermark_offsets(TopicPartition(TOPIC, p), 30)[1] for p in range(PARTITIONS)]
    finally:
        consumer.close()


def cut_and_start(broker, mount, load):
    """Returns how many seconds the broker took to listen again."""
    mount.cut_power(broker)
    acked = list(load.acked)
    seconds = broker.start()
    load.await_ack(len(acked))
    found = ends(broker.address)
    lost = [at for at in acked if at[2] >= found[at[1]]]
    if lost:
        sys.exit(f"FAILED: {len(lost)} acked records are behind the log ends {found}: {sorted(lost)[:5]}")
    return seconds


def run(kind, binary, directory, cycles):
    image = os.path.join(directory, f"{kind}.img")
    mounts.make(kind, image, 2 << 30)
    mount = mounts.Mount(image, os.path.join(directory, kind))
    mount.mount()
    broker = Ringlog(binary, os.path.join(mount.directory, "data"), os.path.join(directory, f"{kind}.log"),
                     **{"ringlog.internal.segment.bytes": 32768, "log.index.interval.bytes": 1024})
    broker.start()
    create_topics(broker.address, {TOPIC: {"ringlog.durability": "sync"}})
    load = Load(broker.address, [TOPIC], pause=0.005)
    load.start()
    starts = []
    for cycle in range(cycles):
        time.sleep(random.uniform(0.05, 0.8))
        starts.append(cut_and_start(broker, mount, load))
        if cycle % 20 == 19:
            print(f"{kind}: cut {cycle + 1}: {len(load.acked)} acked, "
                  f"restart median {sorted(starts)[len(starts) // 2] * 1000:.0f} ms", flush=True)
    left = load.finish()
    judge(f"{kind}: {cycles} power cuts", load, left, [TOPIC])
    if code := broker.stop():
        sys.exit(f"FAILED: exit code {code} of the clean stop")
    print(f"{kind}: {check_directory(broker.data)[1]}")
    mount.unmount()
    os.remove(image)


binary, directory, cycles, *rest = sys.argv[1:]
seeded(rest)
mounts.on_each(rest, directory, lambda kind: run(kind, binary, directory, int(cycles)))
