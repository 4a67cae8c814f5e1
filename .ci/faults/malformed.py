#!/usr/bin/env python3
"""Malformed frames over TCP: the broker answers, or closes the connection, lives on, and holds no memory for them.

Damaged requests of every API, wrong keys and versions, lengths that are negative, huge or not reached, counts that the
frame cannot hold. After each there must be an answer or the end of the connection; at the end a good client is served.
Usage: malformed.py RINGLOG_BINARY DIRECTORY FRAMES [SEED]
"""
import atexit, os, random, socket, struct, subprocess, sys, tempfile, time

binary, directory, frames = sys.argv[1], tempfile.mkdtemp(dir=sys.argv[2]), int(sys.argv[3])
seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(1 << 32)
rng = random.Random(seed)
print(f"seed {seed}")
GROWTH_KIB_MAX = 16 << 10
WARM_UP = 2000

broker = subprocess.Popen(
    [binary, "--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", f"log.dirs={directory}/data",
     "--override", "auto.create.topics.enable=false"],
    stdout=subprocess.PIPE, stderr=open(f"{directory}/broker.log", "wb"), text=True)
atexit.register(broker.kill)
broker.stdout.readline()
port = int(broker.stdout.readline().split()[3].rsplit(":", 1)[1])


def string(text):
    return struct.pack(">h", len(text)) + text


def header(key, version, correlation):
    flexible = version >= {0: 9, 1: 12, 2: 6, 3: 9, 18: 3, 19: 5, 20: 4, 22: 2, 60: 0}.get(key, 99)
    return struct.pack(">hhi", key, version, correlation) + string(b"malformed") + (b"\0" if flexible else b"")


BATCH = struct.pack(">qiibIhiqqqhii", 0, 61, 0, 2, 0, 0, 0, 0, 0, -1, -1, -1, 1) + b"\x18\0\0\0\1\1v\0\0\0\0\0"
# Good bodies: most damage is deep inside of one.
GOOD = [
    (0, 3, struct.pack(">hhii", -1, -1, 1000, 1) + string(b"t") + struct.pack(">iii", 1, 0, len(BATCH)) + BATCH),
    (1, 4, struct.pack(">iiiibi", -1, 10, 0, 1 << 20, 0, 1) + string(b"t") + struct.pack(">iiqi", 1, 0, 0, 1 << 20)),
    (1, 12, struct.pack(">iiiibii", -1, 10, 0, 1 << 20, 0, 0, -1) + b"\2\2t\2" + struct.pack(">iiqiqi", 0, -1, 0, -1, -1, 1 << 20) + b"\0\0\1\1\0"),
    (2, 1, struct.pack(">ii", -1, 1) + string(b"t") + struct.pack(">iiq", 1, 0, -1)),
    (3, 1, struct.pack(">i", 2) + string(b"t") + string(b"u")),
    (3, 12, b"\2" + bytes(16) + b"\2t\0\0\0\0"),
    (18, 3, b"\2a\2b\0"),
    (19, 2, struct.pack(">i", 1) + string(b"t") + struct.pack(">ih", -1, -1) + struct.pack(">iii", 0, 0, 1000) + b"\1"),
    (20, 1, struct.pack(">i", 1) + string(b"absent") + struct.pack(">i", 1000)),
    (22, 0, struct.pack(">hi", -1, 1000)),
    (60, 0, b"\0\0"),
]
NASTY = [b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x7f\xff", b"\xff\xff", b"\x80\0", b"\0\0\0\0",
         b"\xff\xff\xff\xff\x0f", b"\xff\xff\xff\xff\xff", b"\0\0\xff\xff", b"\x7f"]
KEYS = list(range(-2, 95)) + [999, 32767, -32768]


def damaged(body):
    body = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(body) + 1)
        how = rng.randrange(5)
        if how == 0:
            nasty = rng.choice(NASTY)
            body[at:at + len(nasty)] = nasty
        elif how == 1:
            body[at:at + 1] = bytes([rng.randrange(256)])
        elif how == 2:
            del body[at:]
        elif how == 3:
            body[at:at] = rng.choice(NASTY)
        else:
            body[at:at] = rng.randbytes(rng.randint(1, 60))
    return bytes(body)


def frame(number):
    """A frame and whether its announced length is reached."""
    key, version, body = rng.choice(GOOD)
    how = rng.randrange(20)
    if how < 12:
        content = header(key, version, number) + damaged(body)
    elif how < 14:
        content = header(key, rng.randint(-1, 20), number) + body
    elif how < 16:
        content = header(rng.choice(KEYS), rng.randint(0, 14), number) + rng.randbytes(rng.randint(0, 100))
    elif how < 17:
        content = damaged(header(key, version, number) + body)
    elif how < 18:
        content = rng.randbytes(rng.randint(0, 40))
    elif how < 19:
        return struct.pack(">i", rng.choice([-1, -2147483648, 2147483647, 104857601])) + body, True
    else:
        content = header(key, version, number) + body
        return struct.pack(">i", len(content) + rng.choice([1, 100, 100000, 100000000])) + content, False
    return struct.pack(">i", len(content)) + content, True


def receive_all(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            return None
        data += part
    return data


def connect():
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


MARK = 0x5eed5eed
PROBE = header(18, 0, MARK)
PROBE = struct.pack(">i", len(PROBE)) + PROBE


def rss_kib(field="VmRSS"):
    with open(f"/proc/{broker.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


connection, before, answered, closed, waiting = connect(), 0, 0, 0, 0
began = time.time()
for number in range(frames + WARM_UP):
    if number == WARM_UP:
        before = rss_kib()
    data, reached = frame(number)
    try:
        if not reached:
            connection.sendall(data)
            connection.close()
            connection = connect()
            continue
        connection.settimeout(0.3 if data[4:6] == b"\0\1" else 20)
        connection.sendall(data + PROBE)
        while True:
            size = receive_all(connection, 4)
            answer = size and receive_all(connection, struct.unpack(">i", size)[0])
            if not answer:
                raise ConnectionResetError
            if answer[:4] == struct.pack(">i", MARK):
                answered += 1
                break
    except (ConnectionResetError, BrokenPipeError):
        closed += 1
        connection.close()
        connection = connect()
    except TimeoutError:
        if data[4:6] == b"\0\1":
            # A fetch whose damage made a long wait of it. That the broker still lives is all there is to see.
            waiting += 1
            connection.close()
            connection = connect()
            continue
        sys.exit(f"FAILED: no answer and no end after frame {number}: {data[:200].hex()}")
    if broker.poll() is not None:
        sys.exit(f"FAILED: the broker ended with {broker.returncode} at frame {number}: {data[:200].hex()}")
connection.close()
time.sleep(0.5)
after = rss_kib()
print(f"{frames} malformed frames in {time.time() - began:.0f} s: {answered} answered, {closed} connections closed, {waiting} waiting; "
      f"RSS {before} KiB before, {after} KiB after: grown by {after - before} KiB")

# Legal bytes that are a trap: ten million empty names in one frame of 20 MiB.
connection = connect()
names = header(3, 1, 1) + struct.pack(">i", 10_000_000) + bytes(20_000_000)
connection.settimeout(60)
try:
    connection.sendall(struct.pack(">i", len(names)) + names)
    receive_all(connection, 4)
except (ConnectionResetError, BrokenPipeError):
    pass
peak = rss_kib("VmHWM")
print(f"ten million empty names: RSS never above {peak} KiB")
good = connect()
good.sendall(PROBE)
assert receive_all(good, 4), "a good client is served"
broker.terminate()
code = broker.wait(20)
log = open(f"{directory}/broker.log").read()
if after - before > GROWTH_KIB_MAX or peak - after > 64 << 10 or code != 0 or "panicked" in log:
    print(log[-2000:])
    sys.exit(f"FAILED: grown by {after - before} KiB, peak {peak} KiB, exit code {code}")
