"""cleanup.policy changed while records are there, and what decides when a compacted topic is compacted, and what of it:
min.cleanable.dirty.ratio, min.compaction.lag.ms, max.compaction.lag.ms, delete.retention.ms."""
from world import DAY_MS, HOUR_MS, now_ms

SMALL = {"internal_segment_bytes": 20_000, "file_delete_delay_ms": 0}
COMPACT = {"cleanup_policy": "compact", **SMALL}
KEYS = 10
# More than a segment: what lies in front of it can be cleaned.
FILLER = [b"%d %s" % (number, b"y" * 500) for number in range(100)]


def fill(world, topic, age_ms=0, dead=()):
    """Some hundred small batches, whose keys come again and again; the last of some are tombstones."""
    values = [b"%d %s" % (number, b"x" * 500) for number in range(300)] + [None if key in dead else b"last" for key in range(KEYS)]
    values += FILLER
    key = lambda number: b"filler" if number >= 300 + KEYS else b"%d" % (number % KEYS)
    timestamps = [now_ms() - age_ms] * len(values)
    world.expect(world.produce(topic, values, timestamps=timestamps, key=key, batch_num_messages=10) == [], f"to {topic}")


def is_clean(world, topic):
    found = [message.key() for message in world.consume(topic) if message.key() != b"filler"]
    return len(found) == len(set(found))


def tombstones(world, topic):
    return sum(message.value() is None for message in world.consume(topic))


def act(world):
    world.create("to-compact", **SMALL)
    world.create("ratio", **COMPACT, min_cleanable_dirty_ratio="1.0")
    world.create("min-lag", **COMPACT, min_cleanable_dirty_ratio="0", min_compaction_lag_ms=DAY_MS)
    world.create("max-lag", **COMPACT, min_cleanable_dirty_ratio="1.0", max_compaction_lag_ms=1000)
    dead = range(0, KEYS, 2)
    for topic, delay_ms in (("tombstones-stay", DAY_MS), ("tombstones-go", 0)):
        world.create(topic, **COMPACT, min_cleanable_dirty_ratio="0", delete_retention_ms=delay_ms)
    for topic in ("to-compact", "ratio", "min-lag"):
        fill(world, topic)
    for topic in ("tombstones-stay", "tombstones-go"):
        fill(world, topic, dead=dead)
    fill(world, "max-lag", age_ms=HOUR_MS)

    world.until(lambda: is_clean(world, "max-lag"), "what is older than max.compaction.lag.ms is compacted, though the ratio forbids it")
    world.until(lambda: is_clean(world, "tombstones-stay"), "a topic is compacted")

    # One pass writes down when a tombstone may go, the next that has something to clean takes it: both topics get both.
    def are_gone():
        for topic in ("tombstones-stay", "tombstones-go"):
            world.produce(topic, FILLER, key=lambda _: b"filler", batch_num_messages=10)
        return tombstones(world, "tombstones-go") == 0

    world.until(are_gone, "tombstones go where delete.retention.ms is over")
    world.expect(tombstones(world, "tombstones-stay") == len(dead), "and stay where it is not")
    for topic in ("to-compact", "ratio", "min-lag"):
        world.expect(len(world.consume(topic)) == 400 + KEYS, f"{topic} has all its records meanwhile")
    world.alter("to-compact", cleanup_policy="compact", min_cleanable_dirty_ratio="0")
    world.alter("ratio", min_cleanable_dirty_ratio="0")
    world.alter("min-lag", min_compaction_lag_ms=0)
    for topic, key in (("to-compact", "cleanup.policy"), ("ratio", "min.cleanable.dirty.ratio"), ("min-lag", "min.compaction.lag.ms")):
        world.until(lambda: is_clean(world, topic), f"{topic} is compacted once its {key} allows it")
        last = {message.key(): message.value() for message in world.consume(topic)}
        world.expect(all(last[b"%d" % key] == b"last" for key in range(KEYS)), f"the last value of each key of {topic} is there")
