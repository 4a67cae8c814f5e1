#!/usr/bin/env python3
"""An independent reader of a cleanly stopped data directory: in every partition the segments' batches have offsets that
are dense from 0 to the end, whole batches only, and CRCs that are equal.

Usage: segments.py DATA_DIRECTORY SEGMENTS_MIN (so many segments there must be: one segment proves no boundary)
"""
import os, struct, sys

import crc32c

directory, segments_min = sys.argv[1], int(sys.argv[2])
HEADER = struct.Struct(">qiibIhiqqqhii")  # base offset ... record count
segments = batches = records = 0
for partition in sorted(os.listdir(directory)):
    folder = os.path.join(directory, partition)
    if not os.path.isdir(folder) or partition.startswith((".", "__cluster_metadata")):
        continue
    following = 0
    for name in sorted(name for name in os.listdir(folder) if name.endswith(".log")):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read()
        if int(name[:-4]) != following:
            sys.exit(f"FAILED {partition}/{name}: offset {following} was to follow")
        at = 0
        while at < len(data):
            where = f"{partition}/{name} at {at}"
            base, size, epoch, magic, crc, attributes, last_delta, *_, count = HEADER.unpack_from(data, at)
            if base != following or magic != 2 or count != last_delta + 1 or at + 12 + size > len(data):
                sys.exit(f"FAILED {where}: base offset {base} (wanted {following}), magic {magic}, {count} records, "
                         f"last offset delta {last_delta}, {size} bytes")
            if crc32c.crc32c(data[at + 21:at + 12 + size]) != crc:
                sys.exit(f"FAILED {where}: CRC")
            following += count
            at += 12 + size
            batches += 1
        segments += 1
    records += following
print(f"{segments} segments, {batches} batches, {records} records: offsets dense from 0, CRCs equal")
if segments < segments_min:
    sys.exit(f"FAILED: fewer than {segments_min} segments")
