"""Requests of a Kafka client as raw frames, so that what is timed is the broker and not a client's own start.

Old versions of the APIs, without tagged fields: what they do is the same as in the newest ones.
Needs: crc32c (PyPI)
"""
import socket, struct, time

import crc32c

PRODUCE, FETCH, METADATA, CREATE_TOPICS = 0, 1, 3, 19


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def batch(value=b"x" * 100, producer=(-1, -1, -1)):
    """A record batch of one record; `producer`: id, epoch and sequence of an idempotent one."""
    body = struct.pack(">bbb", 0, 0, 0) + b"\x01" + varint(len(value)) + value + b"\x00"
    record = varint(len(body)) + body
    now = int(time.time() * 1000)
    counted = struct.pack(">hiqqqhii", 0, 0, now, now, *producer, 1) + record
    return struct.pack(">qiibI", 0, 9 + len(counted), -1, 2, crc32c.crc32c(counted)) + counted


def varint(value):
    value, out = value << 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


class Connection:
    def __init__(self, port, seconds=60):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, key, version, body):
        frame = struct.pack(">hhi", key, version, 7) + text("scale") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self):
        """The body of the next answer."""
        size = struct.unpack(">i", self.take(4))[0]
        return self.take(size)[4:]

    def take(self, size):
        parts = bytearray()
        while len(parts) < size:
            got = self.socket.recv(min(size - len(parts), 1 << 20))
            if not got:
                raise ConnectionError("closed by the broker")
            parts += got
        return bytes(parts)

    def ask(self, key, version, body):
        self.send(key, version, body)
        return self.receive()

    def close(self):
        self.socket.close()


def create_topics(connection, topics, seconds=120):
    """`topics`: (name, partitions, configs). Ends the script unless all of them are there afterwards."""
    wanted = [text(name) + struct.pack(">ih", partitions, 1) + array([])
              + array([text(key) + text(value) for key, value in configs.items()])
              for name, partitions, configs in topics]
    body = connection.ask(CREATE_TOPICS, 2, array(wanted) + struct.pack(">i?", seconds * 1000, False))
    at, count = 8, struct.unpack_from(">i", body, 4)[0]
    for _ in range(count):
        size = struct.unpack_from(">h", body, at)[0]
        code = struct.unpack_from(">h", body, at + 2 + size)[0]
        if code:
            raise SystemExit(f"FAILED: CreateTopics answers {code} for {body[at + 2:at + 2 + size].decode()}")
        message = struct.unpack_from(">h", body, at + 4 + size)[0]
        at += 6 + size + max(message, 0)


def metadata(connection, names=None):
    """The body of the answer; all topics without names."""
    return connection.ask(METADATA, 1, struct.pack(">i", -1) if names is None else array([text(name) for name in names]))


def leaders(body):
    """Of a Metadata answer: (topic, partition) of all partitions that have a leader."""
    at, brokers = 4, struct.unpack_from(">i", body)[0]
    for _ in range(brokers):
        at += 4
        at += 2 + struct.unpack_from(">h", body, at)[0] + 4
        at += 2 + max(0, struct.unpack_from(">h", body, at)[0])
    at += 4
    found, topics = [], struct.unpack_from(">i", body, at)[0]
    at += 4
    for _ in range(topics):
        size = struct.unpack_from(">h", body, at + 2)[0]
        name = body[at + 4:at + 4 + size].decode()
        at += 4 + size + 1
        count = struct.unpack_from(">i", body, at)[0]
        at += 4
        for _ in range(count):
            code, partition, leader, replicas = struct.unpack_from(">hiii", body, at)
            at += 14 + 4 * replicas
            at += 4 + 4 * struct.unpack_from(">i", body, at)[0]
            if code == 0 and leader >= 0:
                found.append((name, partition))
    return found


def produce_body(topic, partitions, records):
    """acks=all, one batch to each partition."""
    data = [struct.pack(">ii", partition, len(records)) + records for partition in partitions]
    return text(None) + struct.pack(">hi", -1, 60000) + array([text(topic) + array(data)])


def produce_errors(body):
    """Partition and error code of what a Produce answer of version 3 refuses."""
    at, errors = 4, []
    for _ in range(struct.unpack_from(">i", body)[0]):
        at += 2 + struct.unpack_from(">h", body, at)[0]
        count = struct.unpack_from(">i", body, at)[0]
        at += 4
        for _ in range(count):
            partition, code = struct.unpack_from(">ih", body, at)
            at += 22
            if code:
                errors.append((partition, code))
    return errors


def fetch_body(topic, partitions, offset=0, partition_max_bytes=1):
    """From `offset` on, without a wait."""
    asked = [struct.pack(">iqi", partition, offset, partition_max_bytes) for partition in partitions]
    return struct.pack(">iiiib", -1, 0, 0, 1, 0) + array([text(topic) + array(asked)])


def fetch_errors(body, end_offset=None):
    """Partition and error code of what a Fetch answer of version 4 refuses; partition and high watermark where that is not
    `end_offset`."""
    at, errors = 8, []
    for _ in range(struct.unpack_from(">i", body, 4)[0]):
        at += 2 + struct.unpack_from(">h", body, at)[0]
        count = struct.unpack_from(">i", body, at)[0]
        at += 4
        for _ in range(count):
            partition, code, high_watermark = struct.unpack_from(">ihq", body, at)
            at += 22
            at += 4 + 16 * max(0, struct.unpack_from(">i", body, at)[0])
            at += 4 + max(0, struct.unpack_from(">i", body, at)[0])
            if code:
                errors.append((partition, code))
            elif end_offset not in (None, high_watermark):
                errors.append((partition, high_watermark))
    return errors
