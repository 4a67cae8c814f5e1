#!/usr/bin/env python3
"""kill -9 under load: an idempotent acks=all producer writes while the broker is killed and restarted again and again.

Checks that every acked record is there at its offset, no record is there twice, and offsets are dense from 0.
Usage: kill9.py RINGLOG_BINARY DIRECTORY CYCLES [SEED]
"""
import os, random, signal, socket, subprocess, sys, threading, time

from confluent_kafka import Consumer, Producer, TopicPartition

binary, directory, cycles = sys.argv[1], sys.argv[2], int(sys.argv[3])
seed = int(sys.argv[4]) if len(sys.argv) > 4 else random.randrange(1 << 32)
random.seed(seed)
print(f"seed {seed}")
PARTITIONS = 6


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


port = free_port()
log = open(os.path.join(directory, "broker.log"), "ab")


def start():
    arguments = [binary, "--override", f"listeners=PLAINTEXT://127.0.0.1:{port}", "--override",
                 f"log.dirs={directory}/data", "--override", f"num.partitions={PARTITIONS}",
                 "--override", "log.segment.bytes=1048576", "--format"]
    process = subprocess.Popen(arguments, stdout=log, stderr=log)
    deadline = time.time() + 20
    while time.time() < deadline:
        if process.poll() is not None:
            sys.exit(f"FAILED: the broker ended with {process.returncode} at its start")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return process
        except OSError:
            time.sleep(0.01)
    sys.exit("FAILED: the broker does not listen")


broker = start()
producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "enable.idempotence": True, "linger.ms": 2,
                     "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "message.timeout.ms": 120000})
acked, failed, number, stop = {}, [], 0, threading.Event()


def delivered(error, message):
    if error:
        failed.append(str(error))
    else:
        acked[(message.partition(), message.offset())] = message.value()


def load():
    global number
    while not stop.is_set():
        try:
            producer.produce("kill9", f"{number}:".encode() + b"x" * random.choice([10, 100, 1000, 20000]),
                             partition=number % PARTITIONS, on_delivery=delivered)
            number += 1
        except BufferError:
            pass
        if number % 50 == 0:
            producer.poll(0.001)


loader = threading.Thread(target=load)
loader.start()
for cycle in range(cycles):
    time.sleep(random.uniform(0.05, 0.6))
    broker.send_signal(signal.SIGKILL)
    broker.wait()
    broker = start()
    if cycle % 20 == 19:
        print(f"cycle {cycle + 1}: {number} produced, {len(acked)} acked", flush=True)
stop.set()
loader.join()
left = producer.flush(60)

consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "none", "enable.auto.commit": False})
ends = {p: consumer.get_watermark_offsets(TopicPartition("kill9", p), 10)[1] for p in range(PARTITIONS)}
consumer.assign([TopicPartition("kill9", p, 0) for p in range(PARTITIONS)])
found, values, wanted, deadline = {}, {}, sum(ends.values()), time.time() + 120
while len(found) < wanted and time.time() < deadline:
    for message in consumer.consume(5000, 1.0):
        if message.error():
            sys.exit(f"FAILED: {message.error()}")
        found[(message.partition(), message.offset())] = message.value()
        values[message.value()] = values.get(message.value(), 0) + 1
lost = [at for at, value in acked.items() if found.get(at) != value]
doubled = [value[:20] for value, count in values.items() if count > 1]
gaps = [p for p in range(PARTITIONS) if any((p, offset) not in found for offset in range(ends[p]))]
print(f"{cycles} kills: {number} produced, {len(acked)} acked, {len(found)} found, {left} unsent, {len(failed)} failed, "
      f"{len(lost)} acked lost, {len(doubled)} duplicated, {len(gaps)} partitions with gaps")
broker.terminate()
code = broker.wait(20)
if lost or doubled or gaps or failed or left or code != 0:
    print("lost", lost[:5], "doubled", doubled[:5], "gaps", gaps, "failed", failed[:3], "exit", code)
    sys.exit(1)
