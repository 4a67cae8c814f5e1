#!/usr/bin/env python3
"""Clients that ask for everything and read nothing, and clients that announce much and send slowly: the broker stays
near --memory, serves others meanwhile, and has its memory back when they are gone.

Usage: greedy.py RINGLOG_BINARY DIRECTORY
"""
import atexit, os, socket, struct, subprocess, sys, tempfile, time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

binary, directory = sys.argv[1], tempfile.mkdtemp(dir=sys.argv[2])
MEMORY_MIB, PARTITIONS, CLIENTS, DATA_MIB = 256, 8, 60, 160
# What the allocator keeps beside what is in use, and frames that are copied as they grow.
RSS_MIB_MAX = MEMORY_MIB * 3 // 2
broker = subprocess.Popen(
    [binary, "--memory", f"{MEMORY_MIB}M", "--override", "listeners=PLAINTEXT://127.0.0.1:0",
     "--override", f"log.dirs={directory}/data", "--override", "ringlog.durability=page-cache"],
    stdout=subprocess.PIPE, stderr=open(f"{directory}/broker.log", "wb"), text=True)
atexit.register(broker.kill)
broker.stdout.readline()
bootstrap = broker.stdout.readline().split()[3]
port = int(bootstrap.rsplit(":", 1)[1])


def rss_mib(field="VmRSS"):
    with open(f"/proc/{broker.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) >> 10


def frame(key, version, body):
    content = struct.pack(">hhih", key, version, 7, -1) + body
    return struct.pack(">i", len(content)) + content


def connect():
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.setblocking(False)
    return connection


def send_what_goes(connections, data, seconds):
    """Sends `data` again and again to everyone, as much as is taken. Bytes taken in all."""
    sent, at, until = 0, {c: 0 for c in connections}, time.time() + seconds
    while time.time() < until:
        before = sent
        for connection in list(connections):
            try:
                taken = connection.send(data[at[connection]:at[connection] + (1 << 18)])
                at[connection] = (at[connection] + taken) % len(data)
                sent += taken
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                connections.remove(connection) # the broker has enough of it
        if sent == before:
            time.sleep(0.05)
    return sent


def good_client(when):
    began = time.time()
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "fetch.wait.max.ms": 100})
    consumer.assign([TopicPartition("greedy", 0, 0)])
    producer.produce("greedy", b"good", partition=1)
    got = consumer.consume(1, 20.0)
    unsent = producer.flush(20)
    if unsent or len(got) != 1 or got[0].error():
        sys.exit(f"FAILED: no service {when}: {unsent} unsent, {len(got)} fetched {got and got[0].error()}")
    consumer.close()
    print(f"ok served {when}: {time.time() - began:.1f} s")


def check(what):
    peak = rss_mib("VmHWM")
    print(f"{what}: RSS {rss_mib()} MiB, never above {peak} MiB with --memory {MEMORY_MIB}M", flush=True)
    if broker.poll() is not None or peak > RSS_MIB_MAX:
        sys.exit(f"FAILED: {what}")


admin = AdminClient({"bootstrap.servers": bootstrap})
admin.create_topics([NewTopic("greedy", PARTITIONS, 1)])["greedy"].result(30)
producer = Producer({"bootstrap.servers": bootstrap})
for number in range(DATA_MIB * 2):
    producer.produce("greedy", os.urandom(1 << 19), partition=number % PARTITIONS)
    producer.flush(60)
check(f"{DATA_MIB} MiB produced")

partitions = b"".join(struct.pack(">iqi", p, 0, 100 << 20) for p in range(PARTITIONS))
fetch = frame(1, 4, struct.pack(">iiiibi", -1, 1000, 1, 1 << 30, 0, 1) + struct.pack(">h", 6) + b"greedy" + struct.pack(">i", PARTITIONS) + partitions)
never_reading = [connect() for _ in range(CLIENTS)]
sent = send_what_goes(never_reading, fetch * 1000, 5)
check(f"{sent // len(fetch)} fetches of {DATA_MIB} MiB each from {CLIENTS} clients that never read")
good_client("beside clients that never read")
for connection in never_reading:
    connection.close()

slow = [connect() for _ in range(CLIENTS)]
sent = send_what_goes(slow, struct.pack(">i", 60 << 20) + bytes(59 << 20), 5)
check(f"{CLIENTS} frames of 60 MiB that never end, {sent >> 20} MiB taken")
good_client("beside clients that send slowly")
for connection in slow:
    connection.close()

many = [connect() for _ in range(2000)]
send_what_goes(many, struct.pack(">i", 1 << 20) + b"\0", 1)
check(f"{len(many)} connections with the first bytes of a frame")
good_client("beside many connections")
for connection in many:
    connection.close()
time.sleep(1)
check("all gone")
broker.terminate()
code = broker.wait(30)
log = open(f"{directory}/broker.log").read()
if code != 0 or "panicked" in log:
    sys.exit(f"FAILED: exit code {code}\n{log[-2000:]}")
