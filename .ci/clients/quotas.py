#!/usr/bin/env python3
"""Client quotas set by kafka-configs, seen by librdkafka's clients: bytes take the time that their rate gives them, the
answers say so, connections over the rate of their address are not served, nor are topics over that of their partitions;
a restart keeps the quotas.

Usage: quotas.py RINGLOG_BINARY JARS_DIR DIRECTORY
Needs: Apache Kafka's jars, a JDK; confluent-kafka (PyPI)
"""
import os, pathlib, shutil, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from confluent_kafka import Consumer, Producer, TopicPartition
from ringlog import Ringlog, answers_metadata

binary, jars, directory = sys.argv[1:]
if not list(pathlib.Path(jars).glob("kafka_*.jar")) or not shutil.which("java"):
    print("Apache Kafka's jars or a JDK are not there")
    sys.exit(77)
os.makedirs(directory, exist_ok=True)
broker = Ringlog(binary, os.path.join(os.path.abspath(directory), "data"), os.path.join(directory, "broker.log"))
broker.start()
RATE, RECORD, COUNT = 200_000, 10_000, 300
# Ten windows of a second may be used at once.
FREE_SECONDS = RECORD * COUNT / RATE - 11


def expect(is_so, what):
    if not is_so:
        sys.exit(f"FAILED: {what}")
    print(f"ok {what}", flush=True)


def configs(*arguments):
    return tool("kafka.admin.ConfigCommand", *arguments)


def create(client_id, topic, partitions, fails=False):
    settings = os.path.join(directory, "client.properties")
    with open(settings, "w") as file:
        file.write(f"client.id={client_id}\n")
    return tool("org.apache.kafka.tools.TopicCommand", "--command-config", settings, "--create", "--topic", topic,
                "--partitions", str(partitions), fails=fails)


def tool(name, *arguments, fails=False):
    command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", name,
               "--bootstrap-server", broker.address, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    output = done.stdout + done.stderr
    if (done.returncode != 0) != fails:
        sys.exit(f"FAILED: {' '.join(arguments)}: {output}")
    return output


def alter(kind, name, change):
    entity = ["--entity-default"] if name is None else ["--entity-name", name]
    return configs("--alter", "--entity-type", kind, *entity, *change)


def client(client_id, **more):
    throttled = []
    config = {"bootstrap.servers": broker.address, "client.id": client_id, "throttle_cb": throttled.append, **more}
    return config, throttled


def produce(client_id, count=COUNT):
    """The seconds that it took, and the longest delay that an answer told."""
    config, throttled = client(client_id, **{"batch.size": 4 * RECORD, "linger.ms": 5, "message.timeout.ms": 120_000})
    producer, failed = Producer(config), []
    began = time.monotonic()
    for _ in range(count):
        producer.produce("quotas", os.urandom(RECORD), partition=0, on_delivery=lambda e, _: e and failed.append(e))
    expect(producer.flush(120) == 0 and not failed, f"{client_id}: {count} records are acked")
    return time.monotonic() - began, max((event.throttle_time for event in throttled), default=0)


def consume(client_id):
    config, throttled = client(client_id, **{"group.id": "quotas", "enable.auto.commit": False})
    consumer = Consumer(config)
    consumer.assign([TopicPartition("quotas", 0, 0)])
    began, count = time.monotonic(), 0
    while count < COUNT and time.monotonic() < began + 120:
        count += len([m for m in consumer.consume(100, 1) if not m.error()])
    consumer.close()
    expect(count >= COUNT, f"{client_id}: {count} records are read")
    return time.monotonic() - began, max((event.throttle_time for event in throttled), default=0)


rates = f"producer_byte_rate={RATE},consumer_byte_rate={RATE}"
alter("clients", "limited", ["--add-config", rates])
alter("users", None, ["--add-config", "request_percentage=1000"])
described = configs("--describe", "--entity-type", "clients", "--entity-name", "limited")
expect(f"producer_byte_rate={RATE}.0" in described, "the quota is described")
alter("clients", "creator", ["--add-config", "controller_mutation_rate=1"])
# Eleven windows of a second may be used at once, and the last request may go beyond them.
create("creator", "many", 40)
refused = create("creator", "one-more", 1, fails=True)
expect("quota has been exceeded" in refused, "controller_mutation_rate: a topic too many is refused for the time being")
create("somebody-else", "one-more", 1)

for act in [produce, consume]:
    seconds, delay = act("free")
    expect(delay == 0, f"{act.__name__}: no delay without a quota ({seconds:.1f} s)")
    seconds, delay = act("limited")
    expect(delay > 0 and seconds > FREE_SECONDS, f"{act.__name__}: {delay:.1f} s of delay, {seconds:.1f} s in all")

alter("clients", "busy", ["--add-config", "request_percentage=0.0001"])
alter("users", None, ["--delete-config", "request_percentage"])
_, delay = produce("busy", 40)
expect(0 < delay <= 1, f"request_percentage: a delay of {delay:.2f} s, a window at most")

expect(broker.stop() == 0, "a clean stop")
broker.start()
described = configs("--describe", "--entity-type", "clients")
expect(f"consumer_byte_rate={RATE}.0" in described and "busy" in described, "a restart keeps the quotas")
alter("ips", "127.0.0.1", ["--add-config", "connection_creation_rate=1"])
served = sum(answers_metadata(broker.port) for _ in range(12))
expect(served <= 11, f"connection_creation_rate: {served} of 12 connections are served")
expect(broker.stop() == 0, "a clean stop")
