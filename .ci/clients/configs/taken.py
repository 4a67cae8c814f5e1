"""What is taken from producers: message.timestamp.type and its bounds, min.insync.replicas; and which configs are."""
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from world import HOUR_MS, MINUTE_MS, now_ms


def timestamps(world):
    sent = now_ms() - HOUR_MS
    for topic, kind in (("CreateTime", TIMESTAMP_CREATE_TIME), ("LogAppendTime", TIMESTAMP_LOG_APPEND_TIME)):
        world.create(topic, message_timestamp_type=topic)
        world.expect(world.produce(topic, [b"x"], timestamps=[sent]) == [], f"to {topic}")
        seen = world.consume(topic)[0].timestamp()
        is_so = seen[1] == sent if kind == TIMESTAMP_CREATE_TIME else sent + HOUR_MS <= seen[1] <= now_ms()
        world.expect(seen[0] == kind and is_so, f"the consumer sees {topic}: {seen[1] - sent} ms behind what was sent")
    for topic, ahead_ms in (("message.timestamp.before.max.ms", -HOUR_MS), ("message.timestamp.after.max.ms", HOUR_MS)):
        world.create(topic, **{topic: str(10 * MINUTE_MS)})
        errors = world.produce(topic, [b"x"] * 2, timestamps=[now_ms() + ahead_ms, now_ms()], alone=True)
        world.expect(errors == ["INVALID_TIMESTAMP"] and len(world.consume(topic)) == 1, f"{topic} refuses what lies beyond: {errors}")
        world.alter(topic, **{topic: str(2 * HOUR_MS)})
        world.expect(world.produce(topic, [b"x"], timestamps=[now_ms() + ahead_ms]) == [], "and not when it is more")


def replicas(world):
    """Of a partition with one replica one is enough, as in Kafka (Partition.effectiveMinIsr)."""
    world.create("min-insync", min_insync_replicas=2, unclean_leader_election_enable="true")
    for acks in ("all", "1"):
        errors = world.produce("min-insync", [b"x"], acks=acks)
        world.expect(errors == [], f"min.insync.replicas=2 of one replica takes acks={acks}")
    described = world.described("min-insync")
    world.expect((described["min.insync.replicas"], described["unclean.leader.election.enable"]) == ("2", "true"),
                 "min.insync.replicas and unclean.leader.election.enable are described as they were set")


def refused(world):
    world.create("refusing")
    for key, value, why in [("retention.m", "1", "did you mean retention.ms?"), ("segment.byte", "1", "did you mean segment.bytes?"),
                            ("frobnicate", "1", "Unknown topic config name: frobnicate"), ("segment.bytes", "1000", "at least 1048576"),
                            ("cleanup.policy", "shred", "cleanup.policy"), ("retention.ms", "soon", "retention.ms")]:
        for ask in (world.alter, world.create):
            name, text = world.refusal(ask, "refusing" if ask == world.alter else "refused", **{key: value}) or (None, "")
            world.expect(name == "INVALID_CONFIG" and why in text, f"{key}={value}: {name} {text}")
