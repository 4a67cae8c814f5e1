"""When a segment ends (segment.bytes, segment.ms, segment.jitter.ms, segment.index.bytes), when it is deleted (retention.ms,
retention.bytes) and when its files are removed (file.delete.delay.ms)."""
import os, time

from world import HOUR_MS, now_ms

MIB = 1 << 20
BLOCKS = [os.urandom(100_000) for _ in range(50)]
# Of class page-cache files have at once what was acked.
AT_ONCE = {"ringlog_durability": "page-cache"}


def end(world):
    world.create("segment-bytes", segment_bytes=MIB, **AT_ONCE)
    world.expect(world.produce("segment-bytes", BLOCKS) == [], "to segment-bytes")
    sizes = world.sizes("segment-bytes")
    world.expect(len(sizes) >= 5 and max(sizes) <= MIB, f"segments of segment.bytes at most: {sizes}")
    world.expect(world.values("segment-bytes") == BLOCKS, "segments are read one after the other")
    world.create("segment-index-bytes", segment_index_bytes=48, index_interval_bytes=100, **AT_ONCE)
    world.expect(world.produce("segment-index-bytes", [b"x" * 200] * 30, alone=True) == [], "to segment-index-bytes")
    sizes, indexes = world.sizes("segment-index-bytes"), world.sizes("segment-index-bytes", ".index")
    world.expect(len(sizes) >= 4 and max(indexes) <= 48, f"indexes of segment.index.bytes at most: {indexes}")
    # Time is what records say, as in Kafka.
    began = now_ms() - HOUR_MS
    times = [began, began + 60_000, began + 60_001, began + 120_001, began + 120_002]
    for topic, configs, segments in [("segment-ms", {"segment_ms": 60_000}, 3), ("segment-ms-long", {}, 1)]:
        world.create(topic, **configs, **AT_ONCE)
        errors = world.produce(topic, [b"x"] * 5, timestamps=times, alone=True)
        world.expect(errors == [], f"to {topic}")
        world.expect(len(world.files(topic)) == segments, f"{topic} has {segments} segments")
    rolled = {}
    for jitter_ms in (0, 100_000):
        topic = f"segment-jitter-{jitter_ms}"
        world.create(topic, 16, segment_ms=100_000, segment_jitter_ms=jitter_ms, **AT_ONCE)
        for number, timestamp in enumerate([began, began + 50_000]):
            for partition in range(16):
                world.expect(world.produce(topic, [b"x"], partition, [timestamp]) == [],
                             f"record {number} to partition {partition} of {topic}")
        rolled[jitter_ms] = sum(len(world.files(topic, partition=partition)) == 2 for partition in range(16))
    world.expect(rolled[0] == 0 < rolled[100_000] < 16, f"half of segment.ms ends by segment.jitter.ms so many of 16: {rolled}")


def delete(world):
    old = [now_ms() - HOUR_MS] * len(BLOCKS)
    for topic in ("retention-ms", "retention-ms-set-later"):
        world.create(topic, segment_bytes=MIB, file_delete_delay_ms=0)
    world.alter("retention-ms", retention_ms=HOUR_MS // 2)
    for topic in ("retention-ms", "retention-ms-set-later"):
        world.expect(world.produce(topic, BLOCKS, timestamps=old) == [], f"to {topic}")
    world.until(lambda: world.offsets("retention-ms") == (50, 50), "all that is older than retention.ms is gone")
    world.expect(world.offsets("retention-ms-set-later") == (0, 50), "and stays where retention.ms is a week")
    world.alter("retention-ms-set-later", retention_ms=HOUR_MS // 2)
    world.until(lambda: world.offsets("retention-ms-set-later") == (50, 50), "until it is made shorter")
    world.create("retention-bytes", segment_bytes=MIB, retention_bytes=2 * MIB, file_delete_delay_ms=0)
    world.expect(world.produce("retention-bytes", BLOCKS) == [], "to retention-bytes")
    # The segment whose end leaves less than retention.bytes stays.
    world.until(lambda: 2 * MIB <= (50 - world.offsets("retention-bytes")[0]) * 100_000 < 3.1 * MIB, "retention.bytes stay, and no more")
    start, _ = world.offsets("retention-bytes")
    world.expect(world.values("retention-bytes") == BLOCKS[start:], "the newest, as they were sent")


def remove(world):
    """A bound from below is by the time at which a file got its new name, so that a slow machine breaks nothing."""
    for topic, delay_ms in (("delayed", 4000), ("at-once", 0)):
        world.create(topic, segment_bytes=MIB, retention_bytes=MIB, file_delete_delay_ms=delay_ms)
        world.expect(world.produce(topic, BLOCKS) == [], f"to {topic}")
    world.until(lambda: len(world.files("at-once")) < 4 and not world.files("at-once", ".deleted"), "without a delay files are gone")
    world.until(lambda: world.files("delayed", ".log.deleted"), "with file.delete.delay.ms they are called .deleted")
    path = world.files("delayed", ".log.deleted")[0]
    renamed = os.stat(path).st_ctime
    world.until(lambda: not os.path.exists(path), "and are removed")
    stayed = time.time() - renamed
    world.expect(stayed >= 3.9, f"after that time and not before: {stayed:.1f} s of 4")
