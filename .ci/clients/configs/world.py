"""The broker that the parts of configs.py share, clients for it, and what lies in its files."""
import os, struct, threading, time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, OffsetSpec, ResourceType
from ringlog import Ringlog, free_port


class Failed(Exception):
    """An expectation that was not met."""


class World:
    """Its checks of old segments and of what to compact are quick, so that nobody waits for them."""

    def __init__(self, binary, directory):
        self.data, self.http_port = os.path.join(directory, "data"), free_port()
        self.broker = Ringlog(binary, self.data, os.path.join(directory, "broker.log"), **{
            "ringlog.http.listener": f"127.0.0.1:{self.http_port}", "log.retention.check.interval.ms": 200,
            "log.cleaner.backoff.ms": 200, "log.cleaner.dedupe.buffer.size": 10_000_000})
        self.print_lock = threading.Lock()

    def expect(self, is_so, what):
        if not is_so:
            raise Failed(what)
        with self.print_lock:
            print(f"ok {what}", flush=True)

    def until(self, is_so, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise Failed(f"{what}, not within {seconds} s")
            time.sleep(0.05)
        self.expect(True, what)

    def client(self, **settings):
        return {"bootstrap.servers": self.broker.address, "log_level": 0, **keys(settings)}

    def create(self, topic, partitions=1, **configs):
        admin = AdminClient(self.client())
        admin.create_topics([NewTopic(topic, partitions, 1, config=keys(configs))])[topic].result(30)

    def alter(self, topic, **configs):
        entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in keys(configs).items()]
        resource, admin = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries), AdminClient(self.client())
        admin.incremental_alter_configs([resource])[resource].result(30)


    def described(self, topic):
        resource = ConfigResource(ResourceType.TOPIC, topic)
        admin = AdminClient(self.client())
        return {key: entry.value for key, entry in admin.describe_configs([resource])[resource].result(30).items()}

    def refusal(self, ask, *arguments, **configs):
        """The error that a request ends with: its name and its text."""
        try:
            ask(*arguments, **configs)
        except KafkaException as error:
            return error.args[0].name(), error.args[0].str()
        return None

    def produce(self, topic, values, partition=0, timestamps=None, key=None, alone=False, **settings):
        """The names of the errors of those that were not taken. `key` gives the key of a value; `alone`: each is a batch."""
        errors = []
        producer = Producer(self.client(**{"linger_ms": 5, **settings}))
        for number, value in enumerate(values):
            producer.produce(topic, value, key and key(number), partition, timestamp=timestamps[number] if timestamps else 0,
                             on_delivery=lambda error, _: errors.append(error.name()) if error else None)
            producer.poll(0)
            if alone:
                producer.flush(60)
        if producer.flush(60):
            raise Failed(f"{topic}: not all deliveries are told")
        return errors

    def consume(self, topic):
        """All messages of the first partition."""
        start, end = self.offsets(topic)
        consumer = Consumer(self.client(group_id="g", enable_auto_commit=False, check_crcs=True, enable_partition_eof=True))
        consumer.assign([TopicPartition(topic, 0, start)])
        messages = []
        while True:
            message = consumer.poll(30)
            if message is None:
                raise Failed(f"{topic} is not read from {start} to {end}")
            if message.error():
                if message.error().name() != "_PARTITION_EOF":
                    raise Failed(f"{topic} is read: {message.error()}")
                consumer.close()
                return messages
            messages.append(message)

    def values(self, topic):
        return [message.value() for message in self.consume(topic)]

    def offsets(self, topic, partition=0):
        """The first and the end, as ListOffsets says."""
        admin, at = AdminClient(self.client()), TopicPartition(topic, partition)
        return tuple(admin.list_offsets({at: spec})[at].result(30).offset for spec in (OffsetSpec.earliest(), OffsetSpec.latest()))

    def files(self, topic, suffix=".log", partition=0):
        folder = os.path.join(self.data, f"{topic}-{partition}")
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return [os.path.join(folder, name) for name in names if name.endswith(suffix)]

    def sizes(self, topic, suffix=".log", partition=0):
        return [os.path.getsize(path) for path in self.files(topic, suffix, partition)]

    def stored_codecs(self, topic):
        codecs = set()
        for path in self.files(topic):
            with open(path, "rb") as file:
                log = file.read()
            while log:
                codecs.add(struct.unpack(">h", log[21:23])[0] & 7)
                log = log[12 + struct.unpack(">i", log[8:12])[0]:]
        return codecs


def keys(configs):
    """Kafka's names for those of Python."""
    return {key.replace("_", "."): str(value) if type(value) is int else value for key, value in configs.items()}


def now_ms():
    return int(time.time() * 1000)


MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
