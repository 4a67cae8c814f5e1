#!/usr/bin/env python3
"""Reads the partitions of a stopped data directory with a parser of its own (record batches v2), not with Ringlog's.

Checks for every partition: the CRC-32C of each batch, offsets that go on without a gap from the first segment's base
offset to the end across segments, batches that end where the file ends, and indexes that point at batches. Within the
segments of __consumer_offsets compaction leaves gaps.
Usage: read_segments.py DATA_DIRECTORY [SEGMENTS_MIN] (one segment proves no boundary)   Needs: crc32c (PyPI)
"""
import os, re, struct, sys

from crc32c import crc32c

# base offset, length, leader epoch, magic, crc, attributes, last offset delta, first and largest timestamp,
# producer id, producer epoch, base sequence, record count
HEADER = struct.Struct(">qiibIhiqqqhii")
CRC_FROM = 21
PARTITION_FOLDER = re.compile(r"^[a-zA-Z0-9._-]+-\d+$")


class Damage(Exception):
    pass


def batches(path):
    """(position, base offset, last offset, record count) of each batch of a segment."""
    with open(path, "rb") as file:
        data = file.read()
    position = 0
    while position < len(data):
        if len(data) - position < HEADER.size:
            raise Damage(f"{path}: {len(data) - position} bytes behind the last batch at {position}")
        base, length, _, magic, crc, _, delta, *_, count = HEADER.unpack_from(data, position)
        end = position + 12 + length
        if magic != 2 or length < HEADER.size - 12 or end > len(data):
            raise Damage(f"{path}: no whole batch at {position}")
        if crc32c(data[position + CRC_FROM:end]) != crc:
            raise Damage(f"{path}: wrong CRC at {position}, offset {base}")
        if delta < 0 or count > delta + 1:
            raise Damage(f"{path}: {count} records over {delta + 1} offsets at {position}")
        yield position, base, base + delta, count
        position = end


def check_index(path, base, positions):
    """Every entry names the last offset of the batch at its position, and entries rise."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) % 8:
        raise Damage(f"{path}: {len(data)} bytes")
    before = -1
    for relative, position in struct.iter_unpack(">ii", data):
        if positions.get(position) != base + relative or position <= before:
            raise Damage(f"{path}: entry ({base + relative}, {position}) is of no batch")
        before = position


def check_time_index(path, base, end):
    with open(path, "rb") as file:
        data = file.read()
    if len(data) % 12:
        raise Damage(f"{path}: {len(data)} bytes")
    before = (-1, -1)
    for timestamp, relative in struct.iter_unpack(">qi", data):
        if (timestamp, relative) < before or base + relative >= max(end, base + 1):
            raise Damage(f"{path}: entry ({timestamp}, {base + relative}) is out of order")
        before = (timestamp, relative)


def check_partition(folder):
    """(segments, batches) of one partition."""
    bases = sorted(int(name[:-4]) for name in os.listdir(folder) if re.fullmatch(r"\d{20}\.log", name))
    if not bases:
        return 0, 0
    name = os.path.basename(folder)
    is_compacted, is_metadata = name.startswith("__consumer_offsets-"), name == "__cluster_metadata-0"
    # A snapshot takes the place of the first metadata.
    count, expected = 0, bases[0] if is_metadata else 0
    for base in bases:
        if base != expected:
            raise Damage(f"{folder}: the segment of {base} follows one that ends at {expected}")
        stem, positions = os.path.join(folder, f"{base:020}"), {}
        for position, first, last, records in batches(stem + ".log"):
            has_gap = first > expected or records <= last - first
            if first < expected or (has_gap and not is_compacted):
                raise Damage(f"{stem}.log: {records} records to {last} from {first} at {position}, expected {expected}")
            positions[position], expected, count = last, last + 1, count + 1
        # The metadata log has none while its node has never been a Kafka: Kafka makes them when it starts.
        if not is_metadata:
            check_index(stem + ".index", base, positions)
            check_time_index(stem + ".timeindex", base, expected)
    return len(bases), count


def check_directory(data):
    """Checks all partitions; returns the number of segments and a line of figures."""
    partitions, segments, total, bytes_ = 0, 0, 0, 0
    for name in sorted(os.listdir(data)):
        folder = os.path.join(data, name)
        if PARTITION_FOLDER.match(name) and os.path.isdir(folder):
            some, count = check_partition(folder)
            partitions += 1
            segments, total = segments + some, total + count
            bytes_ += sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder) if f.endswith(".log"))
    return segments, f"{partitions} partitions, {segments} segments, {total} batches, {bytes_} bytes: dense, CRCs right"


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        segments, figures = check_directory(sys.argv[1])
    except Damage as damage:
        sys.exit(f"FAILED: {damage}")
    print(figures)
    if len(sys.argv) == 3 and segments < int(sys.argv[2]):
        sys.exit(f"FAILED: fewer than {sys.argv[2]} segments")
