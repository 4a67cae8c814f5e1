"""Client quotas for the scripts of this folder: random ones set by kafka-configs, clients whose answers must be delayed by them or not,
and what kafka-configs says of every kind of entity."""
import os, random, re, time

from confluent_kafka import Consumer, Producer, TopicPartition

CONFIGS = "kafka.admin.ConfigCommand"
# Nobody is authenticated.
USER, TOPIC, RECORD = "ANONYMOUS", "quotas", 10_000
# More than a rate that is low allows at once, in ten windows of a second.
COUNT = 20
# What librdkafka calls a client without a name: the script's own. Its quotas come before all others and are never reached.
OWN = "rdkafka"
PROBES = ["probe-0", "probe-1"]
LOW = {"producer_byte_rate": 10_000, "consumer_byte_rate": 10_000, "request_percentage": 0.00001}
HIGH = {"producer_byte_rate": 10**12, "consumer_byte_rate": 10**12, "request_percentage": 10**6}
KINDS = {"user": "users", "client": "clients", "ip": "ips"}


def deciding(client):
    """The entities of which the first that has a quota of a key decides, as `ClientQuotaManager` looks for them."""
    user, default, named, others = ("user", USER), ("user", None), ("client", client), ("client", None)
    return [(user, named), (user, others), (user,), (default, named), (default, others), (default,), (named,), (others,)]


class Quotas:
    """What is set: by entity, the value of each key."""

    def __init__(self, tools, bootstrap, directory, fail):
        self.tools, self.bootstrap, self.fail = tools, bootstrap, fail
        self.set, self.probes, self.delayed = {}, 0, 0
        self.command_config = directory / "tools.properties"
        self.command_config.write_text(f"client.id={OWN}\n")

    def tool(self, *arguments):
        connection = ["--bootstrap-server", self.bootstrap, "--command-config", str(self.command_config)]
        text, code = self.tools.run(CONFIGS, [*connection, *arguments])
        if code:
            self.fail(f"kafka-configs {arguments}: {text[-500:]}")
        return text

    def alter(self, entity, values):
        """Sets the quotas of an entity; those without a value go."""
        names = []
        for kind, name in entity:
            names += ["--entity-type", KINDS[kind], *(["--entity-default"] if name is None else ["--entity-name", name])]
        added, gone = [f"{key}={value}" for key, value in values.items() if value], [key for key in values if not values[key]]
        change = [*(["--add-config", ",".join(added)] if added else []), *(["--delete-config", ",".join(gone)] if gone else [])]
        self.tool("--alter", *names, *change)
        kept = {**self.set.get(entity, {}), **values}
        self.set[entity] = {key: value for key, value in kept.items() if value}

    def add_history(self):
        """Sets some, and takes some away."""
        if not self.set:
            self.alter(deciding(OWN)[0], HIGH)
        entities = sorted({entity for client in PROBES for entity in deciding(client)}, key=str)
        for entity in random.sample(entities, 4):
            old = self.set.get(entity, {})
            gone = {key: None for key in old if random.random() < 0.5}
            new = {key: random.choice([LOW, HIGH])[key] for key in random.sample(sorted(LOW), 2)}
            # Kafka's connections to itself are clients too: its transactions would take half a minute each.
            if "request_percentage" in new and not any(name in PROBES for _, name in entity):
                new["request_percentage"] = HIGH["request_percentage"]
            self.alter(entity, {**gone, **new})
        self.alter(random.choice(entities), {"controller_mutation_rate": random.randrange(10**6, 10**7) / 8})
        for name in random.sample([None, "127.0.0.9", "::9"], 1):
            self.alter((("ip", name),), {"connection_creation_rate": random.randrange(10**6, 10**7)})

    def is_low(self, client, key):
        values = (self.set[entity][key] for entity in deciding(client) if key in self.set.get(entity, {}))
        return next(values, None) == LOW[key]

    def probe(self, when):
        """Clients produce and fetch as much as a rate that is low does not allow: those that have one are told of a delay, others are
        not. The topic has `COUNT` records of `RECORD` bytes or more."""
        for client in PROBES:
            for act, key in [(self.produce, "producer_byte_rate"), (self.fetch, "consumer_byte_rate")]:
                expected = self.is_low(client, key) or self.is_low(client, "request_percentage")
                if (delay := act(client)) != expected:
                    self.fail(f"{when}: {client} was {'' if delay else 'not '}delayed in {act.__name__}, quotas: {self.set}")
                self.probes, self.delayed = self.probes + 1, self.delayed + delay

    def client(self, client_id):
        delays = []
        return {"bootstrap.servers": self.bootstrap, "client.id": client_id, "log_level": 0, "throttle_cb": delays.append}, delays

    def produce(self, client_id=OWN):
        config, delays = self.client(client_id)
        producer, failed = Producer({**config, "linger.ms": 0}), []
        for _ in range(COUNT):
            producer.produce(TOPIC, os.urandom(RECORD), partition=0, on_delivery=lambda error, _: error and failed.append(error))
            if producer.flush(120) or failed:
                self.fail(f"{client_id}: not all records left {failed}")
            if delays:
                return True
        return False

    def fetch(self, client_id):
        config, delays = self.client(client_id)
        consumer = Consumer({**config, "group.id": "reader", "enable.auto.commit": False})
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        count, deadline = 0, time.time() + 120
        while count < COUNT and not delays:
            if time.time() > deadline:
                self.fail(f"{client_id}: {count} records were read")
            count += len([message for message in consumer.consume(COUNT, 1) if not message.error()])
        consumer.close()
        return bool(delays)

    def described(self):
        """What kafka-configs says of all that there is of each kind. Kafka alone describes client metrics."""
        seen = {}
        for kinds in [["topics"], ["brokers"], ["groups"], ["ips"], ["users"], ["clients"], ["users", "clients"]]:
            text = self.tool("--describe", *(word for kind in kinds for word in ("--entity-type", kind)))
            seen[" ".join(kinds)] = sorted(sorted(re.split(r"[, ]+", line.strip())) for line in text.splitlines())
        return seen
