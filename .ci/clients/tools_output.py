#!/usr/bin/env python3
"""Apache Kafka's command line tools against Ringlog and against real Kafka, both new, on the same history: what they print
and their exit codes are the same, errors included. Only ids, times, addresses and paths are made alike.

Usage: tools_output.py RINGLOG_BINARY JARS_DIR DIRECTORY
"""
import atexit, difflib, os, pathlib, re, shlex, shutil, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools"))
from history import DUMPED, HISTORY, KNOWN, KNOWN_LINES
from jvm import Tools
from ringlog import answers_metadata, free_port, node_properties

binary, jars, directory = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), os.path.realpath(tempfile.mkdtemp(prefix="tools-", dir=sys.argv[3]))
if not list(jars.glob("kafka_*.jar")) or not shutil.which("java"):
    print("Apache Kafka's jars or a JDK are not there")
    sys.exit(77)
CLUSTER_ID = "dG9vbHMtc2F5LXRoZS1zYQ"
MAIN = {
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    **{f"kafka-{name}": f"org.apache.kafka.tools.{main}" for name, main in [
        ("topics", "TopicCommand"), ("console-producer", "ConsoleProducer"), ("get-offsets", "GetOffsetShell"),
        ("delete-records", "DeleteRecordsCommand"), ("log-dirs", "LogDirsCommand"), ("features", "FeatureCommand"),
        ("broker-api-versions", "BrokerApiVersionsCommand"), ("metadata-quorum", "MetadataQuorumCommand"),
        ("leader-election", "LeaderElectionCommand"), ("cluster", "ClusterTool"), ("acls", "AclCommand"),
        ("client-metrics", "ClientMetricsCommand"), ("dump-log", "DumpLogSegments"),
        ("transactions", "TransactionsCommand")]}}


class Broker:
    """A broker of one node on a new directory; both are told the same."""

    def __init__(self, name, formatted_by, run):
        port, controller = free_port(), free_port()
        self.data, self.address = os.path.join(directory, name), f"127.0.0.1:{port}"
        self.ports = [port, controller]
        properties = os.path.join(directory, f"{name}.properties")
        pathlib.Path(properties).write_text(node_properties(port, controller, self.data) + """offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
""")
        with open(os.path.join(directory, f"{name}.log"), "ab") as log:
            subprocess.run([*formatted_by, properties], stdout=log, stderr=log, check=True)
            self.process = subprocess.Popen([*run, properties], stdout=log, stderr=log)
        atexit.register(self.process.kill)
        deadline = time.monotonic() + 120
        while not answers_metadata(port):
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"FAILED: {name} does not start, see {directory}")
            time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait(120)


# What differs from run to run.
ALIKE = [
    (CLUSTER_ID, "CLUSTER"),
    # Ids are 22 characters of Base64.
    (r"(?<![\w.-])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?!A{21})[\w-]{22}(?![\w.(-])", "ID"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[,.]\d+Z?", "TIME"), (r"\b1[78]\d{11}\b", "TIME"), (r"\b\d+ ms ago", "NOW"),
    (r"tries=\d+", "tries=N"), (r"after \d+ attempt", "after N attempt"),
    # Of times.
    (r"\bcrc: \d+", "crc: N"),
    # Offsets of the metadata log.
    (r"\b(Epoch: |HighWatermark: +)\d+", r"\1N"), (r"^1 +\tID\t\d+ +\t0 +\t\S.*\tLeader\s*$", "1 ID N 0 TIME TIME Leader"),
    (r"^\t(at \S*\(.*\)|\.\.\. \d+ more)\n", ""),
    *[(f"{pattern}.*\n", "") for pattern, _ in KNOWN_LINES],
    (r" +$", ""),
]


def alike(text, broker):
    """What both should print."""
    own = [(re.escape(broker.data), "DATA"),
           *[(rf"\b{port}\b", name) for port, name in zip(broker.ports, ["PORT", "CONTROLLER_PORT"])]]
    for pattern, replacement in own + ALIKE:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def compare(shown, ours, theirs, known):
    """Prints the verdict; whether it is as it should be."""
    known = next((reason for pattern, reason in known if re.search(pattern, shown)), None)
    if ours == theirs:
        print(f"ok    {shown}" + (f"\n      is listed as different: {known}" if known else ""), flush=True)
        return known is None
    print(f"{'known' if known else 'DIFF '} {shown}" + (f"\n      {known}" if known else ""), flush=True)
    if not known or os.environ.get("SHOW_KNOWN"):
        (our_text, our_code), (their_text, their_code) = ours, theirs
        print(f"      exit codes: Kafka {their_code}, Ringlog {our_code}")
        for line in list(difflib.unified_diff(their_text.splitlines(), our_text.splitlines(), lineterm="", n=0))[2:42]:
            print(f"      {line[:300]}", flush=True)
    return known is not None


def arguments_for(words):
    """A word that is JSON, or begins with "file:", is the content of a file."""
    named = []
    for number, word in enumerate(words):
        if word.startswith(("{", "file:")):
            path = os.path.join(directory, f"argument-{number}")
            pathlib.Path(path).write_text(word.removeprefix("file:"))
            word = path
        named.append(word)
    return named


jvm = ["java", "-Xmx512m", "-cp", f"{jars}/*"]
kafka = Broker("kafka", [*jvm, "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c"], [*jvm, "kafka.Kafka"])
ringlog = Broker("ringlog", [binary, "format", "--cluster-id", CLUSTER_ID, "--config"], [binary])
tools, good = Tools(jars, "-Dorg.apache.logging.log4j.level=OFF"), True
only = os.environ.get("ONLY")
try:
    for command, text in HISTORY:
        words = shlex.split(command)
        if only and not re.search(only, command):
            continue
        results = []
        for broker in [ringlog, kafka]:
            where = ["--bootstrap-server", broker.address]
            arguments = arguments_for(words[1:])
            last = words[0] in ("kafka-cluster", "kafka-client-metrics")
            output, code = tools.run(MAIN[words[0]], arguments + where if last else where + arguments, text)
            results.append((alike(output, broker), code))
        good &= compare(command, *results, KNOWN)
    ringlog.stop()
    kafka.stop()
    for file in DUMPED:
        results = []
        for broker in [ringlog, kafka]:
            output, code = tools.run(MAIN["kafka-dump-log"], [*file.split()[1:], "--files", os.path.join(broker.data, file.split()[0])])
            results.append((alike(output, broker), code))
        good &= compare(f"kafka-dump-log {file}", *results, KNOWN)
finally:
    tools.end()
shutil.rmtree(directory) if good else print(f"see {directory}")
sys.exit(0 if good else 1)
