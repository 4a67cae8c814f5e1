#!/usr/bin/env python3
"""Power cuts as a device sees them: all writes of a run under load are kept (write_log_device.py), and the log is cut at
random points, the writes behind the last flush dropped, reordered, torn at 512 bytes. Each image is mounted, Ringlog is
started on it, and everything acked before the cut must be there, once, without a gap. Class sync.

Unlike power_cut.py it finds an ack that was not flushed: --planted expects failures, of a binary that leaves out DSYNC.
Usage: write_log.py RINGLOG_BINARY DIRECTORY REPLAYS [SEED] [ext4|xfs ...] [--planted]
Needs: root, loop devices, nbdkit with Python, nbdfuse, xfsprogs, e2fsprogs; confluent-kafka, crc32c (PyPI)
"""
import os, random, struct, sys, time

import mounts
from load import Load, create_topics, faults, read_all
from read_segments import check_directory
from ringlog import Ringlog

TOPIC = "write-log"
SIZE_BYTES = 1 << 30
LOAD_SECONDS = 10
SECTOR = 512
# ext4's superblock is two sectors with one checksum, is not in its journal, and half of it cannot be mounted: never torn.
SUPERBLOCK_END = 4096
HEADER = struct.Struct(">cQI")
SETTINGS = {"ringlog.internal.segment.bytes": 32768, "log.index.interval.bytes": 1024, "ringlog.shards": 2,
            "ringlog.internal.commit.log.file.blocks": 2048}


def record_run(binary, directory, kind):
    """Runs the broker under load on the logging device; returns the log's path and the load with its acks."""
    image, log = (os.path.join(directory, name) for name in ("device.img", "writes.log"))
    for path in (image, log):
        if os.path.exists(path):
            os.remove(path)
    plugin = os.path.join(os.path.dirname(os.path.abspath(__file__)), "write_log_device.py")
    device = mounts.NbdDevice(directory, SIZE_BYTES, "python", plugin, f"image={image}", f"log={log}",
                              f"size={SIZE_BYTES}")
    mounts.make(kind, device.loop)
    mount = mounts.Mount(device.loop, os.path.join(directory, "recorded"))
    mount.mount()
    broker = Ringlog(binary, os.path.join(mount.directory, "data"), os.path.join(directory, f"{kind}.log"), **SETTINGS)
    broker.start()
    create_topics(broker.address, {TOPIC: {"ringlog.durability": "sync"}})
    # The size of the log when an ack arrives: what the ack rests on is before it.
    load = Load(broker.address, [TOPIC], mark=lambda: os.path.getsize(log), pause=0.02)
    load.start()
    time.sleep(LOAD_SECONDS)
    load.stopping.set()
    broker.kill()
    load.thread.join()
    mount.unmount()
    device.close()
    os.remove(image)
    return log, load, broker


def records(path):
    """(end position in the log, kind, position on the device, bytes) of each record."""
    with open(path, "rb") as log:
        at = 0
        while header := log.read(HEADER.size):
            kind, position, length = HEADER.unpack(header)
            data = log.read(length) if kind == b"W" else bytes(length)
            at += HEADER.size + (length if kind == b"W" else 0)
            yield at, kind, position, data


def write(image, position, data):
    os.pwrite(image, data, position)


def sectors(data):
    return range(0, len(data), SECTOR)


def leave_some(image, unflushed):
    """Applies what a cut leaves of writes that no flush covers; returns in which way."""
    way = random.choice(["all", "none", "some", "reordered", "torn"])
    if way == "none":
        return way
    chosen = [w for w in unflushed if way == "all" or random.random() < 0.5]
    if way in ("reordered", "torn"):
        random.shuffle(chosen)
    for position, data in chosen:
        if way == "torn" and position >= SUPERBLOCK_END and random.random() < 0.7:
            for start in sectors(data):
                if random.random() < 0.5:
                    write(image, position + start, data[start:start + SECTOR])
        else:
            write(image, position, data)
    return way


def check(broker, mount, acked):
    """What is wrong with this image, or None."""
    try:
        broker.start()
        found, ends = read_all(broker.address, [TOPIC])
        lost, doubled, gaps = faults(acked, found, ends)
        if broker.stop():
            return "the clean stop failed"
        check_directory(broker.data)
        if lost or doubled or gaps:
            return f"{len(lost)} of {len(acked)} acked lost, {len(doubled)} doubled, {len(gaps)} missing: {lost[:3]}"
        return None
    except (SystemExit, Exception) as error:
        return str(error)
    finally:
        broker.kill()
        mount.unmount()


def replay(kind, binary, directory, replays):
    log, load, recorded = record_run(binary, directory, kind)
    first = min(mark for _, mark in load.acked.values())
    size = os.path.getsize(log)
    cuts = sorted(random.randrange(first, size) for _ in range(replays))
    print(f"{kind}: {len(load.acked)} acked, {size} bytes of log", flush=True)
    flushed, cut_image = os.path.join(directory, "flushed.img"), os.path.join(directory, "cut.img")
    mount = mounts.Mount(cut_image, os.path.join(directory, "replayed"))
    broker = Ringlog(binary, os.path.join(mount.directory, "data"), recorded.log.name, **SETTINGS)
    with open(flushed, "wb") as file:
        file.truncate(SIZE_BYTES)
    base = os.open(flushed, os.O_RDWR)
    unflushed, failures, ways, flushes, unflushed_sum, refused = [], [], {}, 0, 0, 0
    for end, what, position, data in records(log):
        while cuts and end > cuts[0]:
            cut = cuts.pop(0)
            mounts.run("cp", "--sparse=always", flushed, cut_image)
            image = os.open(cut_image, os.O_RDWR)
            way = leave_some(image, unflushed)
            os.close(image)
            acked = {at: told for at, told in load.acked.items() if told[1] <= cut}
            ways[way], unflushed_sum = ways.get(way, 0) + 1, unflushed_sum + len(unflushed)
            # Seen with XFS, Linux 6.18: the recovery of its own log ends with a CRC error in the block of a folder.
            if not mount.try_to_mount():
                refused += 1
                continue
            if wrong := check(broker, mount, acked):
                failures.append(f"cut at {cut}, {way} of {len(unflushed)} unflushed: {wrong}")
                print(f"{kind}: {failures[-1]}", flush=True)
        if what == b"F":
            for at, some in unflushed:
                write(base, at, some)
            unflushed, flushes = [], flushes + 1
        else:
            unflushed.append((position, data))
    os.close(base)
    print(f"{kind}: {replays} replays ({', '.join(f'{count} {way}' for way, count in sorted(ways.items()))}), "
          f"{flushes} flushes, {unflushed_sum / replays:.1f} writes unflushed at a cut, {len(failures)} failed, "
          f"{refused} that {kind} itself does not survive", flush=True)
    if refused > replays // 20:
        failures.append(f"{refused} of {replays} images cannot be mounted")
    for path in (log, flushed, cut_image):
        os.remove(path)
    return failures


def main():
    planted = "--planted" in sys.argv
    binary, directory, replays, *rest = [argument for argument in sys.argv[1:] if argument != "--planted"]
    seed = int(rest.pop(0)) if rest and rest[0].isdigit() else random.randrange(1 << 32)
    random.seed(seed)
    os.makedirs(directory, exist_ok=True)
    print(f"seed {seed}")
    not_run = []
    for kind in rest or ["ext4", "xfs"]:
        if reason := mounts.no_nbd() or mounts.unavailable(kind, directory):
            print(f"NOT RUN on {kind}: {reason}")
            not_run.append(kind)
            continue
        failures = replay(kind, binary, directory, int(replays))
        if planted and not failures:
            sys.exit(f"FAILED: {kind}: the planted bug was not found")
        if failures and not planted:
            sys.exit(f"FAILED: {kind}: {failures[0]}")
    if not_run:
        sys.exit(77)


main()
