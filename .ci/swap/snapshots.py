#!/usr/bin/env python3
"""Kafka -> Ringlog -> Kafka -> ... while both write snapshots of the metadata all the time and the log behind them goes.

Kafka sets something of every kind that its metadata can hold; what its tools say of it is the same after each swap, though
the records that once said so are in no segment any more. Each snapshot that Ringlog leaves is read by kafka-dump-log, and
the newest by kafka-metadata-shell, if its jar is there (SHELL_JARS).
Usage: snapshots.py RINGLOG_BINARY JARS_DIR DIRECTORY [SWAPS=4] [OPTIONS_OF_FORMAT...]      by hand: half a minute per swap
The quorum is static where options are given and --standalone is not among them; --release-version 3.7 is the lowest.
"""
import os, pathlib, re, shutil, subprocess, sys, tempfile, time

ci = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ci / "faults"), str(ci / "clients" / "tools")]
from broker import Broker, java
from jvm import Tools
from ringlog import free_port, node_properties

binary, jars = sys.argv[1], pathlib.Path(sys.argv[2])
swaps = int(sys.argv[4]) if len(sys.argv) > 4 else 4
if not list(jars.glob("kafka_*.jar")) or not shutil.which("java"):
    print("Apache Kafka's jars or a JDK are not there")
    sys.exit(77)
format_options = sys.argv[5:] or ["--standalone"]
directory = pathlib.Path(tempfile.mkdtemp(prefix="snapshots-", dir=sys.argv[3])).resolve()
port, controller_port = free_port(), free_port()
bootstrap = f"127.0.0.1:{port}"
properties = directory / "server.properties"
properties.write_text(node_properties(port, controller_port, directory / "data") + """offsets.topic.num.partitions=5
metadata.log.max.record.bytes.between.snapshots=3000
metadata.max.retention.bytes=20000
""")
if "--standalone" not in format_options:
    text = properties.read_text()
    properties.write_text(text.replace("quorum.bootstrap.servers=", "quorum.voters=1@"))
metadata = directory / "data" / "__cluster_metadata-0"
log = open(directory / "brokers.log", "ab")
WRONG = re.compile("isvalid: false|[Ii]nvalid bytes|Found |[Mm]ismatch|out of order|corrupt|Exception")
TOPICS, CONFIGS = "org.apache.kafka.tools.TopicCommand", "kafka.admin.ConfigCommand"


def fail(what):
    sys.exit(f"FAILED: {what}, see {directory}")


def start(name):
    return Broker(name, binary, jars, properties, bootstrap, log, fail, within=120)


def tool(main, *arguments):
    text, code = tools.run(main, ["--bootstrap-server", bootstrap, *arguments])
    if code:
        fail(f"{main} {arguments}: {text[-500:]}")
    return text


def create(name, *more):
    tool(TOPICS, "--create", "--topic", name, *more)


def alter(what, *config):
    tool(CONFIGS, "--alter", *what, "--add-config", ",".join(config))


def until_listed(topic, is_there):
    """Kafka's broker side hears of changes behind the answer of its controller."""
    deadline = time.time() + 60
    while (topic in tool(TOPICS, "--list").split()) != is_there:
        if time.time() > deadline:
            fail(f"{topic} is listed, or not")
        time.sleep(0.1)


SET = {
    "topic": (["--entity-type", "topics", "--entity-name", "first"], "retention.ms=123456789", "segment.bytes=2000000"),
    "broker": (["--entity-type", "brokers", "--entity-name", "1"], "log.cleaner.threads=2"),
    "brokers": (["--entity-type", "brokers", "--entity-default"], "log.retention.ms=987654321"),
    "user": (["--entity-type", "users", "--entity-name", "ada"], "producer_byte_rate=1048576.0", "request_percentage=12.5"),
    "user, client": (["--entity-type", "users", "--entity-default", "--entity-type", "clients", "--entity-name", "c"],
                     "consumer_byte_rate=2097152.0"),
    "address": (["--entity-type", "ips", "--entity-name", "127.0.0.9"], "connection_creation_rate=17.0"),
    "group": (["--entity-type", "groups", "--entity-name", "g"], "consumer.session.timeout.ms=50001"),
    "client metrics": (["--entity-type", "client-metrics", "--entity-name", "m"], "interval.ms=12345", "metrics=[a.b]"),
}
KAFKA_ONLY = {"client metrics"}


def words(line):
    """Of a line, which has configs in any order."""
    return sorted(re.split(r"[\t, ]+", line.strip()))


def observe(broker):
    seen = {}
    for what, (entity, *_) in SET.items():
        if broker.name == "kafka" or what not in KAFKA_ONLY:
            lines = tool(CONFIGS, "--describe", *entity).splitlines()
            seen[what] = sorted(words(re.sub(r" synonyms=.*", "", line)) for line in lines if "=" in line)
    described = tool(TOPICS, "--describe").splitlines()
    seen["topics"] = sorted(words(line) for line in described if line.strip().startswith("Topic:"))
    # Ringlog tells clients the levels of what it serves.
    if broker.name == "kafka":
        features = tool("org.apache.kafka.tools.FeatureCommand", "describe").splitlines()
        seen["features"] = sorted(re.sub(r"\s*Epoch:.*", "", line) for line in features)
    return seen


def compare(before, after, swap):
    for what in before.keys() & after.keys():
        was, now = ([entry for entry in one[what] if entry not in other[what]]
                    for one, other in [(before, after), (after, before)])
        if was or now:
            fail(f"swap {swap}: {what} was {was[:5]} and is {now[:5]}")


def inspect():
    """What Ringlog left of the metadata."""
    segments, snapshots = (sorted(metadata.glob(pattern)) for pattern in ("*.log", "*-*.checkpoint"))
    if segments[0].name.startswith("0" * 20):
        fail(f"the log was never cut: {segments}")
    if list(metadata.glob("*.part")):
        fail("a snapshot was not finished")
    files = ",".join(map(str, segments + snapshots))
    text, code = tools.run("org.apache.kafka.tools.DumpLogSegments", ["--cluster-metadata-decoder", "--files", files])
    wrong = [line for line in text.splitlines() if WRONG.search(line)]
    if code or wrong or text.count("SnapshotFooter") != len(snapshots):
        fail(f"kafka-dump-log ends with {code}: {wrong[:3] or text[-300:]}")
    shell = os.environ.get("SHELL_JARS")
    if shell:
        command = java(jars, "org.apache.kafka.shell.MetadataShell", "--snapshot", str(snapshots[-1]), "ls", "image/configs",
                       more=f":{shell}/*")
        # It may answer before it has read all.
        for _ in range(5):
            shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
            if {"BROKER:1", "CLIENT_METRICS:m", "GROUP:g", "TOPIC:first"} <= set(shown.stdout.split()):
                break
        else:
            fail(f"kafka-metadata-shell says {shown.stdout[-300:]} {shown.stderr[-300:]}")
    return len(segments), len(snapshots), bool(shell)


subprocess.run(java(jars, "kafka.tools.StorageTool", "format", *format_options, "-t", "c25hcHNob3RzLW9mLW1ldA",
                    "-c", str(properties)), stdout=log, stderr=log, check=True, timeout=90)
tools, before = Tools(jars), {}
for swap in range(swaps + 1):
    broker = start("kafka" if swap % 2 == 0 else "ringlog")
    if swap == 0:
        create("first", "--partitions", "3")
        for entity, *config in SET.values():
            alter(entity, *config)
    compare(before, observe(broker), swap)
    for number in range(12):
        create(f"{broker.name}-{swap}-{number}", "--partitions", "8")
    until_listed(f"{broker.name}-{swap}-11", True)
    tool(TOPICS, "--delete", "--topic", f"{broker.name}-{swap}-3")
    until_listed(f"{broker.name}-{swap}-3", False)
    seen = observe(broker)
    before = {**before, **seen}
    broker.stop()
    found = inspect() if broker.name == "ringlog" else "not looked at"
    print(f"{broker.name}: {len(seen['topics'])} lines of topics, metadata (segments, snapshots, shell): {found}", flush=True)
tools.end()
shutil.rmtree(directory)
print(f"{swaps} swaps: topics, configs of topics, brokers, groups and client metrics, quotas and features are the same")
