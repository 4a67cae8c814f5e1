"""An idempotent acks=all producer, what it was told, and the check that the broker kept all of it.

Every record's value follows from its number, so what was acked is remembered as (topic, partition, offset) -> number.
"""
import threading, time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SIZES = [10, 100, 1000, 8000]
PARTITIONS = 6


def value_of(number):
    return f"{number}:".encode() + b"x" * SIZES[number % 13 % len(SIZES)]


def create_topics(address, topics, partitions=PARTITIONS):
    """`topics`: name -> configs."""
    admin = AdminClient({"bootstrap.servers": address})
    created = admin.create_topics([NewTopic(name, partitions, 1, config=config) for name, config in topics.items()])
    for future in created.values():
        future.result(30)


class Load:
    """Produces from a thread of its own until it is stopped. `mark` is called at each ack and kept with it."""

    def __init__(self, address, topics, mark=lambda: None, pause=0.002, in_flight=5):
        self.address, self.topics, self.mark, self.pause = address, list(topics), mark, pause
        self.acked, self.failed, self.reused, self.number = {}, [], [], 0
        self.stopping = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": address, "enable.idempotence": True, "acks": "all", "linger.ms": 2,
            "max.in.flight": in_flight,
            "batch.size": 16000, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
            "retry.backoff.ms": 20, "retry.backoff.max.ms": 100, "message.timeout.ms": 600000, "log_level": 0,
            # It goes on with the broker that it knows, instead of forgetting it when none answers.
            "metadata.recovery.strategy": "none",
            # What waits for a broker that is away, or for room on its disk, must fit there afterwards.
            "queue.buffering.max.messages": 20000})
        self.thread = threading.Thread(target=self.run, daemon=True)

    def delivered(self, number):
        def on_delivery(error, message):
            if error:
                self.failed.append(str(error))
                return
            at = (message.topic(), message.partition(), message.offset())
            if at in self.acked:
                self.reused.append(at)
            self.acked[at] = (number, self.mark())
        return on_delivery

    def run(self):
        while not self.stopping.is_set():
            topic = self.topics[self.number % len(self.topics)]
            partition = self.number // len(self.topics) % PARTITIONS
            try:
                self.producer.produce(topic, value_of(self.number), partition=partition,
                                      on_delivery=self.delivered(self.number))
                self.number += 1
            except BufferError:
                self.producer.poll(0.05)
            if self.number % 50 == 0:
                self.producer.poll(self.pause)

    def start(self, seconds=30):
        """Returns when the first record was acked: the producer has its id, and goes on at once after each restart."""
        self.thread.start()
        self.await_ack(0, seconds)

    def await_ack(self, acked, seconds=60):
        """Returns when there are more than `acked`: the producer has found the broker again, and a fault meets its load."""
        deadline = time.monotonic() + seconds
        while len(self.acked) == acked:
            if time.monotonic() > deadline:
                raise SystemExit(f"FAILED: nothing is acked for {seconds} s")
            time.sleep(0.005)

    def finish(self, seconds=120):
        """Stops producing and waits for what is under way; returns how many records were not sent."""
        self.stopping.set()
        self.thread.join()
        try:
            return self.producer.flush(seconds)
        except KafkaException as error:
            self.failed.append(str(error))
            return len(self.producer)


def read_all(address, topics, seconds=180):
    """Everything from offset 0 to the end: (topic, partition, offset) -> value, and the ends."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "none", "enable.auto.commit": False,
                         "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "log_level": 0})
    places = [(topic, partition) for topic in topics for partition in range(PARTITIONS)]
    ends = {place: consumer.get_watermark_offsets(TopicPartition(*place), 30)[1] for place in places}
    consumer.assign([TopicPartition(*place, 0) for place in places])
    found, wanted, deadline = {}, sum(ends.values()), time.monotonic() + seconds
    while len(found) < wanted and time.monotonic() < deadline:
        for message in consumer.consume(5000, 1.0):
            if message.error():
                raise SystemExit(f"FAILED: {message.error()}")
            found[(message.topic(), message.partition(), message.offset())] = message.value()
    consumer.close()
    return found, ends


def faults(acked, found, ends, besides=frozenset()):
    """What is wrong: lists of acked records lost, records there twice, offsets that are missing. Values in `besides` may
    be there any number of times."""
    lost = [at for at, (number, _) in acked.items() if found.get(at) != value_of(number)]
    seen, doubled = set(), []
    for value in found.values():
        number = value.split(b":", 1)[0]
        if number in seen and value not in besides:
            doubled.append(number)
        seen.add(number)
    gaps = [(*place, offset) for place, end in ends.items() for offset in range(end) if (*place, offset) not in found]
    return lost, doubled, gaps


def judge(what, load, left, topics, besides=frozenset()):
    """Reads everything back, prints one line of figures, and ends the script with 1 if anything is wrong."""
    found, ends = read_all(load.address, topics)
    lost, doubled, gaps = faults(load.acked, found, ends, besides)
    print(f"{what}: {load.number} produced, {len(load.acked)} acked, {len(found)} found, {left} unsent, "
          f"{len(load.failed)} failed, {len(lost)} acked lost, {len(doubled)} duplicated, "
          f"{len(load.reused)} offsets reused, {len(gaps)} offsets missing", flush=True)
    if lost or doubled or gaps or load.reused or load.failed or left:
        raise SystemExit(f"FAILED: lost {lost[:5]} doubled {doubled[:5]} gaps {gaps[:5]} reused {load.reused[:3]} "
                         f"failed {load.failed[:3]} unsent {left}")
