"""Dynamic configs of all brokers act on topics without their own and on no others, or on connections, at once and until they
are taken away.
kafka-configs sets them: the Python clients know no broker without a name."""
import os, socket, time

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from frames import Connection
from world import HOUR_MS, now_ms

API_VERSIONS = 18
MIB = 1 << 20
OWN = {"retention_ms": 10**12, "segment_bytes": 100 * MIB, "max_message_bytes": 2_000_000, "compression_type": "producer",
       "message_timestamp_type": "CreateTime", "message_timestamp_before_max_ms": 10**12}
BLOCKS = [os.urandom(100_000) for _ in range(25)]
PAGE_CACHE = {"ringlog_durability": "page-cache"}


def act(world, tools):
    for topic, configs in (("plain", {}), ("own", OWN)):
        world.create(topic, **configs, **PAGE_CACHE)
    topics = ["plain", "own"]

    def alter(*arguments):
        return tools.run("kafka.admin.ConfigCommand", ["--bootstrap-server", world.broker.address, "--entity-type", "brokers",
                                                       "--entity-default", "--alter", *arguments])

    def set(key, value):
        text, code = alter("--add-config", f"{key}={value}")
        world.expect(code == 0, f"{key}={value}: {text.strip()}")

    def take(key):
        text, code = alter("--delete-config", key)
        world.expect(code == 0, f"without {key}: {text.strip()}")

    def each(what):
        return [what(topic) for topic in topics]

    set("log.segment.bytes", MIB)
    each(lambda topic: world.expect(world.produce(topic, BLOCKS) == [], f"to {topic}"))
    counts = each(lambda topic: len(world.files(topic)))
    world.expect(counts[0] >= 3 and counts[1] == 1, f"log.segment.bytes: segments of plain, own: {counts}")

    set("message.max.bytes", 50_000)
    errors = each(lambda topic: world.produce(topic, [b"x" * 100_000]))
    world.expect(errors == [["MSG_SIZE_TOO_LARGE"], []], f"message.max.bytes: errors of plain, own: {errors}")
    take("message.max.bytes")
    world.expect(world.produce("plain", [b"x" * 100_000]) == [], "and no more when it is taken away")

    set("log.message.timestamp.type", "LogAppendTime")
    each(lambda topic: world.expect(world.produce(topic, [b"x"]) == [], f"to {topic}"))
    kinds = each(lambda topic: world.consume(topic)[-1].timestamp()[0])
    world.expect(kinds == [TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_CREATE_TIME], "log.message.timestamp.type")
    take("log.message.timestamp.type")
    set("log.message.timestamp.before.max.ms", HOUR_MS)
    errors = each(lambda topic: world.produce(topic, [b"x"], timestamps=[now_ms() - 2 * HOUR_MS]))
    world.expect(errors == [["INVALID_TIMESTAMP"], []], f"log.message.timestamp.before.max.ms: errors of plain, own: {errors}")
    take("log.message.timestamp.before.max.ms")

    set("compression.type", "gzip")
    before = each(lambda topic: sum(world.sizes(topic)))
    each(lambda topic: world.expect(world.produce(topic, [b"x" * 500_000]) == [], f"to {topic}"))
    grown = each(lambda topic: sum(world.sizes(topic)) - before[topics.index(topic)])
    world.expect(grown[0] < 50_000 < 500_000 < grown[1], f"compression.type: plain, own grow by {grown}")

    limit_connections(world, alter, set, take)

    text, code = alter("--add-config", "log.segments.byte=1048576")
    world.expect(code == 1 and "did you mean log.segment.bytes?" in text, f"a key that is not there: {text.splitlines()[1]}")
    ends = each(lambda topic: world.offsets(topic)[1])
    set("log.segment.delete.delay.ms", 0)
    set("log.retention.ms", 1)
    world.until(lambda: world.offsets("plain") == (ends[0], ends[0]), "log.retention.ms deletes all of plain")
    world.until(lambda: len(world.files("plain")) <= 1 and not world.files("plain", ".deleted"), "log.segment.delete.delay.ms removes it")
    world.expect(world.offsets("own") == (0, ends[1]), "and nothing of own")


def limit_connections(world, alter, set, take):
    host, port = world.broker.address.split(":")

    def connect():
        """From an address that nobody else has."""
        return socket.create_connection((host, int(port)), source_address=("127.0.0.9", 0))

    def is_closed(connection):
        connection.settimeout(0.5)
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False

    kept = [connect()]
    world.expect(not is_closed(kept[0]), "a connection without a limit")
    set("max.connections.per.ip.overrides", "127.0.0.9:2")
    kept += [connect(), connect()]
    closed = [is_closed(connection) for connection in kept]
    world.expect(closed == [False, False, True], f"max.connections.per.ip.overrides, with one from before: {closed}")
    take("max.connections.per.ip.overrides")
    kept.append(connect())
    world.expect(not is_closed(kept[-1]), "and no limit when it is taken away")
    text, code = alter("--add-config", "max.connections.per.ip.overrides=localhost:2")
    world.expect(code == 1 and "names take a restart" in text, f"a name, while it runs: {text.splitlines()[1]}")
    for connection in kept:
        connection.close()

    # All windows count, 11 of a second by default: 50 may come at once, each one more waits longer, up to a second.
    set("max.connection.creation.rate", 5)
    started = time.monotonic()
    connections = [Connection(int(port)) for _ in range(60)]
    for connection in connections:
        connection.ask(API_VERSIONS, 0, b"")
        connection.close()
    seconds = time.monotonic() - started
    world.expect(seconds > 1, f"max.connection.creation.rate: 60 are served in {seconds} s")
    take("max.connection.creation.rate")
