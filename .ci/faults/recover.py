#!/usr/bin/env python3
"""`ringlog recover` after kill -9 under load: refused while the broker runs; Kafka refuses the directory until then, and does it no
harm; then the directory is as after a clean stop. kafka-dump-log finds nothing wrong in it, and Apache Kafka started on it serves every acked record, once, without a gap.

Usage: recover.py RINGLOG_BINARY JARS_DIR DIRECTORY [SEED]
Needs: Apache Kafka's jars, a JDK; confluent-kafka, crc32c (PyPI)
"""
import os, pathlib, random, shutil, subprocess, sys, time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

import in_flight
from load import Load, create_topics, judge
from read_segments import check_directory
from ringlog import Ringlog, free_port, node_properties

binary, jars, directory, *rest = sys.argv[1:]
if not list(pathlib.Path(jars).glob("kafka_*.jar")) or not shutil.which("java"):
    print("Apache Kafka's jars or a JDK are not there")
    sys.exit(77)
random.seed(int(rest[0]) if rest else None)
os.makedirs(directory, exist_ok=True)
topics = {"sync": {"ringlog.durability": "sync"}, "page-cache": {"ringlog.durability": "page-cache"}}
AGAIN = "again"
data = os.path.join(os.path.abspath(directory), "data")


def recover(path):
    done = subprocess.run([binary, "recover", path], capture_output=True, text=True)
    print(f"recover: exit {done.returncode}: {(done.stdout + done.stderr).strip()}", flush=True)
    return done


def expect(is_so, what):
    if not is_so:
        sys.exit(f"FAILED: {what}")


def spawn_kafka(port):
    controller = free_port()
    properties = os.path.join(directory, "server.properties")
    with open(properties, "w") as file:
        file.write(node_properties(port, controller, data))
    log = open(os.path.join(directory, "kafka.log"), "wb")
    return subprocess.Popen(["java", "-Xmx512m", "-cp", f"{jars}/*", "kafka.Kafka", properties], stdout=log, stderr=log)


def kafka_refuses(port):
    """Starts Kafka on the directory and waits until it has ended."""
    try:
        code = spawn_kafka(port).wait(120)
    except subprocess.TimeoutExpired:
        sys.exit("FAILED: Kafka runs on what only Ringlog can recover")
    says = "is not in the form of topic-partition"
    expect(code != 0 and says in pathlib.Path(directory, "kafka.log").read_text(), f"Kafka ended with {code}")
    print(f"Kafka before that: exit {code}, '{says}'", flush=True)


def kafka(port):
    """Starts Kafka on the directory and waits until it serves."""
    process = spawn_kafka(port)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        expect(process.poll() is None, f"Kafka ended with {process.returncode}")
        try:
            if AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0}).list_topics(timeout=2).brokers:
                return process
        except KafkaException:
            time.sleep(0.2)
    process.kill()
    sys.exit("FAILED: Kafka does not answer")


broker = Ringlog(binary, data, os.path.join(directory, "broker.log"), **{"ringlog.internal.segment.bytes": 32768})
broker.start()
create_topics(broker.address, topics)
create_topics(broker.address, {AGAIN: {}})
sent = in_flight.send(broker.port, AGAIN)
expect(sent == list(range(in_flight.BATCHES)), f"{AGAIN}: {sent}")
# Its batches may lie in more segments, as small as they are here, than Kafka is made to look through.
load = Load(broker.address, topics, in_flight=1)
load.start()
for _ in range(3):
    time.sleep(random.uniform(1, 2))
    broker.kill()
    broker.start()
time.sleep(1)
expect(recover(data).returncode == 1, "a running broker's directory was not refused")
load.stopping.set()
time.sleep(0.2)
broker.kill()
load.thread.join()
kafka_refuses(broker.port)
done = recover(data)
expect(done.returncode == 0 and "is clean now" in done.stdout, "not recovered")
expect(not os.path.exists(os.path.join(data, ".ringlog")), ".ringlog is still there")
again = recover(data)
expect(again.returncode == 0 and "nothing to do" in again.stdout, "not idempotent")
print(check_directory(data)[1], flush=True)
dump = pathlib.Path(__file__).parent.parent / "clients" / "dump_log.sh"
subprocess.run([dump, data, jars], check=True)
served = kafka(broker.port)
try:
    again = in_flight.send(broker.port, AGAIN)
    expect(again == sent, f"batches that were in flight at the kill, sent again to Kafka: {again}")
    # What was not acked when the broker was killed is sent to Kafka now, as an idempotent producer does.
    left = load.finish()
    judge("Kafka on the recovered directory", load, left, topics)
finally:
    served.terminate()
    served.wait()
