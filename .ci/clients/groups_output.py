#!/usr/bin/env python3
"""What kafka-consumer-groups, kafka-groups and kafka-streams-application-reset print about Ringlog and about real Kafka after
the same history of groups: equal, column by column.

Only ids, addresses and times are made equal first, and the order of rows that hangs on random ids. The tools run in one JVM.
It starts both. Usage: groups_output.py RINGLOG_BINARY JARS_DIR DIRECTORY [-v]
Needs: Java 17; confluent-kafka
"""
import difflib, os, pathlib, re, shutil, subprocess, sys, tempfile, time

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ci = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ci / "clients/tools"), str(ci / "faults"), str(ci / "swap")]
from broker import Broker
from jvm import Tools
from ringlog import free_port, node_properties

GROUPS = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
LIST = "org.apache.kafka.tools.GroupsCommand"
CONFIGS = "kafka.admin.ConfigCommand"
RESET = "org.apache.kafka.tools.StreamsResetter"
TOPICS = {"groups-output": 4, "other": 2, "empty": 1, "gone": 1, "application-store-changelog": 2, "application-x-repartition": 2}
HOUR_MS = 3_600_000
# Records lie an hour apart, and half an hour off the whole hours that the tools are asked for.
NOW_MS = int(time.time() * 1000)
RECORDS = 20


def await_that(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"FAILED: waited {seconds} s for {what}")
        time.sleep(0.1)


class Side:
    """One of the two brokers, and the clients whose groups it coordinates."""

    def __init__(self, name, address):
        self.name, self.address, self.members = name, address, {}
        self.settings = {"bootstrap.servers": address, "log_level": 0}
        self.admin = AdminClient(self.settings)

    def create_topics(self):
        topics = [NewTopic(name, partitions, 1) for name, partitions in TOPICS.items()]
        for future in self.admin.create_topics(topics).values():
            future.result(30)
        producer = Producer(self.settings)
        for topic, partitions in TOPICS.items():
            for number in range(0 if topic == "empty" else RECORDS * partitions):
                age_ms = (RECORDS - number // partitions) * HOUR_MS - HOUR_MS // 2
                producer.produce(topic, b"x", partition=number % partitions, timestamp=NOW_MS - age_ms)
        producer.flush(30)

    def commit(self, group, *offsets):
        """As a consumer that is not a member."""
        consumer = Consumer({**self.settings, "group.id": group})

        def is_committed():
            try:
                return consumer.commit(offsets=[TopicPartition(*offset) for offset in offsets], asynchronous=False)
            except KafkaException:
                # A new broker makes __consumer_offsets first.
                return False
        await_that(f"a commit of {group} on {self.name}", is_committed)
        consumer.close()

    def state(self, group):
        return self.admin.describe_consumer_groups([group])[group].result(30)

    def join(self, group, client_id, topics=("groups-output",), protocol="classic", partitions=None, **more):
        """A member that has its assignment and stays; `partitions`: how many it gets."""
        own = {"group.protocol": "consumer"} if protocol == "consumer" else {
            "session.timeout.ms": 30000, "heartbeat.interval.ms": 300}
        member = Consumer({**self.settings, "group.id": group, "client.id": client_id, "enable.auto.commit": False,
                           "auto.offset.reset": "earliest", "max.poll.interval.ms": HOUR_MS, **own, **more})
        member.subscribe(list(topics))
        self.members[group, client_id] = member
        if partitions is not None:
            self.await_assignment(group, client_id, partitions)

    def await_assignment(self, group, client_id, partitions):
        def has_it():
            self.poll(group)
            return len(self.members[group, client_id].assignment()) == partitions
        await_that(f"{client_id} of {group} on {self.name} to get {partitions} partitions", has_it)

    def poll(self, group):
        for (of, _), member in self.members.items():
            if of == group:
                member.poll(0.02)

    def await_state(self, group, state, *partitions):
        """Members that have so many partitions each."""
        def is_there():
            found = self.state(group)
            has = sorted(len(member.assignment.topic_partitions) for member in found.members)
            return found.state == state and has == sorted(partitions)
        await_that(f"{group} on {self.name} to be {state}", is_there)

    def leave(self, group, client_id):
        self.members.pop((group, client_id)).close()


UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def normalise(text, side):
    """Ids keep their length, so that the width of columns is compared too."""
    text = re.sub(UUID, "U" * 36, text)
    # The ids that librdkafka gives itself under the consumer protocol, in columns and in messages.
    text = re.sub(r"(?<=\s)[A-Za-z0-9+/]{22}(?=\s+(?:/127|\S+\s+/127))|(?<=memberId=)[A-Za-z0-9+/]{22}", "U" * 22, text)
    host, port = side.address.split(":")
    text = text.replace(side.address, "H" * len("127.0.0.1:10000")).replace(f"{host}, port={port}", "HOST")
    # Where in Kafka's code an exception passed.
    lines = [line for line in text.splitlines() if not re.match(r"\s+(at |\.\.\. \d+ more)", line)]
    # The tools' own logging.
    return [re.sub(r"^\[?[0-9-]{10}[T ][0-9:.,]{8,12}Z?\]?", "TIME", line) for line in lines]


def run(tools, side, tool, *arguments):
    return tools.run(tool, ["--bootstrap-server", side.address, *arguments])


class Comparison:
    def __init__(self, tools, ringlog, kafka):
        self.tools, self.ringlog, self.kafka, self.count, self.different = tools, ringlog, kafka, 0, 0

    def same(self, tool, *arguments, sort=False):
        """Runs a tool on both and compares exit code and output; what it printed about Ringlog."""
        found = []
        for side in (self.kafka, self.ringlog):
            text, code = run(self.tools, side, tool, *arguments)
            lines = normalise(text, side)
            found.append((code, sorted(lines) if sort else lines))
        self.count += 1
        command = f"{tool.rsplit('.', 1)[1]} {' '.join(arguments)}"
        if found[0] == found[1]:
            print(f"ok    {command}" + (f" ({found[0][0]})" if found[0][0] else ""), flush=True)
        else:
            self.different += 1
            print(f"DIFF  {command} (exit {found[0][0]}, {found[1][0]}; - Kafka, + Ringlog)")
            print("\n".join(difflib.unified_diff(found[0][1], found[1][1], lineterm="", n=1)), flush=True)
        if "-v" in sys.argv:
            print("\n".join(found[0][1]))
        return text

    def groups(self, *arguments, sort=False):
        return self.same(GROUPS, *arguments, sort=sort)


def history(side, tools):
    """Groups in all their states."""
    t = "groups-output"
    side.create_topics()
    side.commit("simple", (t, 0, 5), (t, 1, 20), (t, 3, 25), ("other", 0, 0), ("empty", 0, 0))
    side.commit("orphan", ("gone", 0, 7), (t, 0, 1))
    side.commit("to-delete", (t, 0, 1))
    side.commit("application", (t, 0, 5), (t, 1, 6), ("application-x-repartition", 0, 3))
    side.admin.delete_topics(["gone"])["gone"].result(30)
    for group, protocol in (("classic-empty", "classic"), ("consumer-empty", "consumer")):
        side.join(group, "one", protocol=protocol, partitions=4)
        side.members[group, "one"].commit(offsets=[TopicPartition(t, p, 3 + p) for p in range(4)], asynchronous=False)
        side.leave(group, "one")
    side.join("classic", "one", partitions=4)
    side.members["classic", "one"].commit(offsets=[TopicPartition(t, p, 2 * p) for p in range(3)], asynchronous=False)
    side.join("classic-static", "one", partitions=4, **{"group.instance.id": "instance-one"})
    side.join("classic-two", "one", topics=(t, "other"), partitions=6)
    side.join("classic-two", "two", topics=(t, "other"), partitions=3)
    side.await_assignment("classic-two", "one", 3)
    side.join("consumer", "one", protocol="consumer", partitions=4)
    side.members["consumer", "one"].commit(offsets=[TopicPartition(t, p, 2 * p) for p in range(3)], asynchronous=False)
    side.join("consumer-two", "one", protocol="consumer", partitions=4)
    side.join("consumer-two", "two", protocol="consumer", partitions=2, **{"group.instance.id": "instance-two"})
    side.join("consumer-range", "one", topics=(t, "other"), protocol="consumer", partitions=6,
              **{"group.remote.assignor": "range"})
    # Two members come before the next target assignment.
    run(tools, side, CONFIGS, "--entity-type", "groups", "--entity-name", "consumer-three", "--alter", "--add-config",
              "consumer.assignment.interval.ms=10000")
    side.join("consumer-three", "one", protocol="consumer", partitions=4)
    for member in ("two", "three"):
        side.join("consumer-three", member, protocol="consumer", **{"client.id": "one"})
    for member, partitions in (("one", 2), ("two", 1), ("three", 1)):
        side.await_assignment("consumer-three", member, partitions)
    side.join("consumer-regex", "one", topics=("^groups-.*",), protocol="consumer", partitions=4)
    side.join("consumer-idle", "one", topics=("not-there",), protocol="consumer")
    # The first member does not serve its rebalance.
    side.join("classic-rebalancing", "one", partitions=4)
    side.join("classic-rebalancing", "two")
    side.join("consumer-rebalancing", "one", protocol="consumer", partitions=4)
    side.join("consumer-rebalancing", "two", protocol="consumer")
    side.await_state("classic-rebalancing", ConsumerGroupState.PREPARING_REBALANCING, 0, 4)
    for group, partitions in (("consumer-two", (2, 2)), ("consumer-regex", (4,)), ("consumer-idle", (0,)), ("consumer", (4,))):
        side.await_state(group, ConsumerGroupState.STABLE, *partitions)
    return side


def describe(c):
    for more in ([], ["--type"], ["--state"], ["--state", "--type"], ["--type", "classic"], ["--type", "consumer"],
                 ["--state", "Empty"], ["--state", "Stable,PreparingRebalance"], ["--state", "Reconciling"],
                 ["--state", "Dead"], ["--type", "consumer", "--state", "Empty"], ["--type", "share"],
                 ["--state", "nonsense"], ["--type", "nonsense"]):
        c.groups("--list", *more, sort=True)
    shown = ["simple", "orphan", "classic-empty", "consumer-empty", "classic", "classic-static", "classic-two", "consumer",
             "consumer-two", "consumer-three", "consumer-range", "consumer-regex", "consumer-idle", "classic-rebalancing",
             "consumer-rebalancing", "not-there"]
    for group in shown:
        has_random_order = group.endswith(("-two", "-three", "-rebalancing"))
        for more in ([], ["--offsets", "--verbose"], ["--members"], ["--members", "--verbose"], ["--state"],
                     ["--state", "--verbose"]):
            c.groups("--describe", "--group", group, *more, sort=has_random_order)
    for more in ([], ["--members"], ["--state"]):
        c.groups("--describe", "--all-groups", *more, sort=True)
    c.groups("--describe", "--group", "simple", "--group", "classic", "--offsets")
    c.groups("--describe", "--group", "simple", "--members", "--state")
    for more in ([], ["--group-type", "classic"], ["--group-type", "consumer"], ["--group-type", "share"], ["--consumer"],
                 ["--share"], ["--streams"], ["--protocol", "consumer"], ["--protocol", ""],
                 ["--group-type", "classic", "--protocol", "consumer"], ["--group-type", "nonsense"]):
        c.same(LIST, "--list", *more, sort=True)


def at(hours):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000", time.gmtime((NOW_MS - hours * HOUR_MS) / 1000))


def reset(c, work):
    both = ["--topic", "groups-output", "--topic", "other:1"]
    forms = [["--to-earliest"], ["--to-latest"], ["--to-offset", "7"], ["--to-offset", "-3"], ["--to-offset", "700"],
             ["--shift-by", "2"], ["--shift-by", "-100"], ["--shift-by", "100"], ["--to-current"],
             ["--to-datetime", at(3)], ["--to-datetime", at(300)], ["--to-datetime", at(-3)], ["--to-datetime", "soon"],
             ["--by-duration", "PT5H"], ["--by-duration", "P20D"], ["--by-duration", "PT0S"], ["--by-duration", "5 hours"]]
    for group in ("simple", "classic-empty", "consumer-empty"):
        for form in forms:
            for do in ([], ["--dry-run"], ["--export"], ["--execute"]):
                c.groups("--reset-offsets", "--group", group, "--topic", "groups-output:0,1", *form, *do)
                if do == ["--execute"]:
                    c.groups("--describe", "--group", group)
    for form in forms[:3] + forms[5:6] + forms[9:10]:
        c.groups("--reset-offsets", "--group", "simple", *both, *form)
        c.groups("--reset-offsets", "--group", "simple", "--all-topics", *form)
        c.groups("--reset-offsets", "--all-groups", "--all-topics", *form, sort=True)
    for group in ("classic", "consumer", "classic-rebalancing", "consumer-rebalancing"):
        c.groups("--reset-offsets", "--group", group, "--topic", "groups-output", "--to-earliest", "--dry-run")
        c.groups("--reset-offsets", "--group", group, "--topic", "groups-output", "--to-earliest", "--execute")
    c.groups("--reset-offsets", "--group", "new", "--topic", "groups-output", "--to-latest", "--execute")
    c.groups("--describe", "--group", "new")
    c.groups("--reset-offsets", "--group", "new", "--topic", "groups-output", "--to-current")
    c.groups("--reset-offsets", "--group", "not-there", "--topic", "groups-output", "--shift-by", "1")
    c.groups("--reset-offsets", "--group", "simple", "--topic", "not-there", "--to-earliest")
    c.groups("--reset-offsets", "--group", "simple", "--topic", "groups-output:9", "--to-earliest")
    c.groups("--reset-offsets", "--group", "simple", "--to-earliest")
    plan = os.path.join(work, "plan.csv")
    exported = c.groups("--reset-offsets", "--group", "simple", *both, "--to-offset", "4", "--export", "--dry-run")
    # One that names a partition that is not there makes the tool ask for 30 s.
    for text in (exported, "groups-output,0,11\ngroups-output,2,400\n", "nonsense\n"):
        with open(plan, "w") as file:
            file.write(text)
        for do in ("--dry-run", "--execute"):
            c.groups("--reset-offsets", "--group", "simple", "--from-file", plan, do)
        c.groups("--describe", "--group", "simple", "--offsets")
    with open(plan, "w") as file:
        file.write("simple,groups-output,0,2\nclassic-empty,groups-output,1,3\n")
    c.groups("--reset-offsets", "--group", "simple", "--group", "classic-empty", "--from-file", plan, "--execute", sort=True)
    for group in ("simple", "classic-empty"):
        c.groups("--describe", "--group", group)


def delete(c):
    def offsets(group, *topics):
        c.groups("--delete-offsets", "--group", group, *(word for topic in topics for word in ("--topic", topic)))
        c.groups("--describe", "--group", group, sort=group.endswith(("-two", "-rebalancing")))

    offsets("simple", "other")
    offsets("simple", "groups-output:1")
    offsets("simple", "groups-output:1,9")
    offsets("simple", "not-there")
    offsets("classic-empty", "groups-output:0,2")
    offsets("consumer-empty", "groups-output:0,2")
    offsets("classic", "groups-output:0")
    offsets("classic", "other:0")
    offsets("consumer", "groups-output:0")
    offsets("consumer-regex", "groups-output:0")
    offsets("classic-rebalancing", "groups-output")
    offsets("not-there", "groups-output")
    for groups in (["to-delete"], ["to-delete"], ["not-there"], ["classic"], ["consumer"], ["classic-rebalancing"],
                   ["consumer-rebalancing"], ["orphan", "classic-static", "consumer-idle", "consumer-empty"], ["classic-empty"]):
        c.groups("--delete", *(word for group in groups for word in ("--group", group)), sort=True)
    c.groups("--list", "--state", "--type", sort=True)


def reset_application(c):
    application = ["--application-id", "application", "--input-topics", "groups-output"]
    for form in ([], ["--to-offset", "3"], ["--to-earliest"], ["--to-latest"], ["--shift-by", "2"], ["--shift-by", "-50"],
                 ["--to-datetime", at(4)], ["--by-duration", "PT6H"]):
        c.same(RESET, *application, *form, "--dry-run", sort=True)
        c.same(RESET, *application, *form, "--internal-topics", "application-x-repartition", "--dry-run", sort=True)
    c.same(RESET, *application, "--intermediate-topics", "other", sort=True)
    c.groups("--describe", "--group", "application", sort=True)
    c.same(RESET, "--application-id", "application", "--input-topics", "not-there,groups-output", sort=True)
    c.same(RESET, "--application-id", "application", sort=True)
    c.same(RESET, "--application-id", "never-ran", "--input-topics", "other", sort=True)
    c.groups("--describe", "--group", "never-ran", sort=True)
    c.same(RESET, "--application-id", "classic-static", "--input-topics", "groups-output", sort=True)
    c.same(RESET, "--application-id", "consumer", "--input-topics", "groups-output", sort=True)
    c.same(RESET, "--application-id", "classic-static", "--input-topics", "groups-output", "--force", "--dry-run", sort=True)
    c.groups("--describe", "--group", "classic-static", "--members")


def start(name, binary, jars, work):
    """Such a broker on a fresh directory, and its address."""
    own = pathlib.Path(work, name)
    own.mkdir()
    port, properties = free_port(), own / "server.properties"
    properties.write_text(node_properties(port, free_port(), own / "data") + "group.initial.rebalance.delay.ms=0\n")
    subprocess.run([binary, "format", "--config", properties], check=True, stdout=subprocess.DEVNULL)
    address = f"127.0.0.1:{port}"
    return Broker(name, binary, jars, properties, address, open(own / "broker.log", "ab"), sys.exit), address


def main():
    binary, jars, directory = sys.argv[1:4]
    if not list(pathlib.Path(jars).glob("kafka_*.jar")) or not shutil.which("java"):
        print("Apache Kafka's jars or a JDK are not there")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="groups-output-", dir=directory) as work:
        brokers = [start(name, binary, jars, work) for name in ("kafka", "ringlog")]
        tools = Tools(jars, "-Duser.timezone=UTC")
        sides = [history(Side(broker.name, address), tools) for broker, address in brokers]
        # Members of the consumer protocol learn of a rebalance with a heartbeat: every 5 s.
        time.sleep(11)
        c = Comparison(tools, sides[1], sides[0])
        describe(c)
        reset(c, work)
        delete(c)
        reset_application(c)
        tools.end()
        for side in sides:
            for member in side.members.values():
                member.unsubscribe()
        for broker, _ in brokers:
            broker.stop()
    print(f"{c.count} outputs, {c.different} different", flush=True)
    # Not by an end of the members, which no longer have a broker.
    os._exit(1 if c.different else 0)


main()
