#!/usr/bin/env python3
"""Groups of protocols that Ringlog does not speak, over a swap and back: Kafka Streams with group.protocol=streams (KIP-1071) and
a share group (KIP-932). Under Ringlog both are listed as what they are, the committed offsets of the first are the same, and an
instance of it that was left alone is told that its protocol is not there. Under Kafka both go on where they were: the word count
equals its model, and the share group has got each record.
Usage: foreign_groups.py RINGLOG_BINARY JARS_DIR DIRECTORY
"""
import atexit, pathlib, shutil, subprocess, sys, tempfile, time

ci = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ci / "faults"))
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from broker import Broker, java
from ringlog import free_port, node_properties

binary, jars = sys.argv[1], pathlib.Path(sys.argv[2])
if not list(jars.glob("kafka-streams-4*.jar")) or not shutil.which("javac"):
    print("Apache Kafka's jars or a JDK are not there")
    sys.exit(77)
directory = pathlib.Path(tempfile.mkdtemp(prefix="foreign-groups-", dir=sys.argv[3])).resolve()
port = free_port()
bootstrap = f"127.0.0.1:{port}"
properties = directory / "server.properties"
properties.write_text(node_properties(port, free_port(), directory / "data") + """offsets.topic.num.partitions=5
share.coordinator.state.topic.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.share.min.heartbeat.interval.ms=1000
group.share.heartbeat.interval.ms=1000
group.share.min.session.timeout.ms=5000
group.share.session.timeout.ms=5000
""")
APPLICATION, SHARE, SHARED = "streams-foreign", "share-foreign", "shared"
LINES, SHARED_RECORDS = 2000, 500
log = open(directory / "brokers.log", "ab")
CLIENT = {"bootstrap.servers": bootstrap, "log_level": 0}


def fail(what):
    sys.exit(f"FAILED: {what}, see {directory}")


def count(*arguments):
    """Runs a command of the word count."""
    command = java(jars, "WordCount", *map(str, arguments), more=f":{directory}/classes")
    if subprocess.run(command, stdout=log, stderr=log, timeout=300).returncode:
        fail(f"WordCount {arguments[0]}")


def instance():
    """An instance of the word count, of the streams protocol; it runs."""
    path = directory / "instance"
    path.write_text("")
    arguments = ["run", bootstrap, APPLICATION, str(directory / "state"), "at_least_once", "streams"]
    command = java(jars, "WordCount", *arguments, more=f":{directory}/classes")
    process = subprocess.Popen(command, stdout=open(path, "a"), stderr=log)
    atexit.register(process.kill)
    for _ in range(300):
        if "state RUNNING" in path.read_text():
            return process
        if process.poll() is not None:
            break
        time.sleep(0.2)
    fail(f"the instance does not run: {path.read_text()}")


def tool(main, *arguments):
    """What a tool of Kafka's says, in order."""
    done = subprocess.run(java(jars, main, "--bootstrap-server", bootstrap, *arguments), capture_output=True, text=True, timeout=60)
    if done.returncode:
        fail(f"{main} {arguments}: {done.stdout}{done.stderr}")
    return sorted(" ".join(line.split()) for line in done.stdout.splitlines() if line.strip())


def share(records):
    """Values of so many records that the share group gets."""
    arguments = ["--bootstrap-server", bootstrap, "--topic", SHARED, "--group", SHARE, "--max-messages", str(records), "--timeout-ms", "60000"]
    command = java(jars, "org.apache.kafka.tools.consumer.ConsoleShareConsumer", *arguments)
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, timeout=120).stdout.split()


def offsets():
    """Committed offsets of the streams group, by partition."""
    admin = AdminClient(CLIENT)
    group = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(APPLICATION)])[APPLICATION].result(30)
    return {(found.topic, found.partition): found.offset for found in group.topic_partitions}


def groups():
    """Names, types and protocols of the groups."""
    return [line for line in tool("org.apache.kafka.tools.GroupsCommand", "--list") if "foreign" in line]


def send(first):
    producer = Producer(CLIENT)
    for number in range(first, first + SHARED_RECORDS):
        producer.produce(SHARED, str(number))
    if producer.flush(30):
        fail("records that were not sent")


subprocess.run(["javac", "-cp", f"{jars}/*", "-d", directory / "classes", ci / "clients" / "streams" / "WordCount.java"], check=True)
subprocess.run([binary, "format", "--config", properties], check=True, stdout=subprocess.DEVNULL)
broker = Broker("kafka", binary, jars, properties, bootstrap, log, fail)
admin = AdminClient(CLIENT)
admin.create_topics([NewTopic(SHARED, 2, 1)])[SHARED].result(30)
tool("kafka.admin.ConfigCommand", "--alter", "--entity-type", "groups", "--entity-name", SHARE, "--add-config", "share.auto.offset.reset=earliest")
count("create", bootstrap)
running = instance()
count("produce", bootstrap, LINES, 2)
count("check", bootstrap, LINES, 120)
send(0)
got = share(SHARED_RECORDS // 2)
time.sleep(1)
before, listed = offsets(), groups()
print(f"kafka: {listed}, {sum(before.values())} records committed, {len(got)} records shared", flush=True)
if len(listed) != 2 or sum(offset for (topic, _), offset in before.items() if topic == "streams-lines") != LINES:
    fail(f"the groups of Kafka: {listed}, {before}")
broker.stop()

broker = Broker("ringlog", binary, jars, properties, bootstrap, log, fail)
try:
    code = running.wait(120)
except subprocess.TimeoutExpired:
    fail("the instance that was left alone goes on")
said = "The cluster does not support the STREAMS group protocol"
if code != 3 or said not in (directory / "instance").read_text():
    fail(f"the instance ended with {code}, and not because of its protocol")
print(f"ringlog: {groups()}; the instance that was left alone ended: {said}", flush=True)
if groups() != listed or offsets() != before:
    fail(f"{groups()} after {listed}, {offsets()} after {before}")
# More lines while nobody counts them, the first ones for the second time: the sets of lines stay exact.
count("produce", bootstrap, 2 * LINES, 2)
send(SHARED_RECORDS)
if offsets() != before:
    fail("offsets moved while nobody read")
broker.stop()

broker = Broker("kafka", binary, jars, properties, bootstrap, log, fail)
if groups() != listed or offsets() != before:
    fail(f"kafka again: {groups()} after {listed}, {offsets()} after {before}")
running = instance()
count("check", bootstrap, 2 * LINES, 120)
got += share(2 * SHARED_RECORDS - len(got))
if sorted(map(int, got)) != list(range(2 * SHARED_RECORDS)):
    fail(f"the share group got {len(set(got))} of {2 * SHARED_RECORDS} records, {len(got)} in all")
print(f"ok: kafka again, the word count goes on, the share group has got all of {len(got)} records")
running.terminate()
running.wait(60)
broker.stop()
shutil.rmtree(directory)
