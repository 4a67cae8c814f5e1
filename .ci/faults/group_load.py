"""Groups under faults: some commit without members, one has members that join, read and commit. What was acked is
remembered, and checked against what the broker has."""
import sys, threading, time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

GROUPS, MEMBERS, PARTITIONS, TOPIC = 6, 2, 4, "t"
PRODUCED = 500


class GroupLoad:
    """Commits and reads from threads of its own until it is finished."""

    def __init__(self, address):
        self.settings = {"bootstrap.servers": address, "enable.auto.commit": False, "socket.timeout.ms": 3000,
                         "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20, "log_level": 0,
                         "auto.offset.reset": "earliest"}
        self.producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "log_level": 0,
                                  "reconnect.backoff.max.ms": 200})
        # It goes on with the broker that it knows, instead of forgetting it when none answers.
        self.admin = AdminClient({"bootstrap.servers": address, "log_level": 0, "reconnect.backoff.max.ms": 200,
                                  "metadata.recovery.strategy": "none"})
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.acked, self.asked, self.commits, self.reads, self.end = {}, {}, 0, 0, 0
        self.threads = [threading.Thread(target=self.alone, args=(f"alone-{n}",), daemon=True) for n in range(GROUPS)]
        self.threads += [threading.Thread(target=self.member, args=("members",), daemon=True) for _ in range(MEMBERS)]

    def start(self):
        self.produce()
        for thread in self.threads:
            thread.start()

    def produce(self):
        """Something for the members to read."""
        for number in range(PRODUCED):
            self.producer.produce(TOPIC, str(number).encode(), partition=number % PARTITIONS)
        self.producer.flush(30)
        self.end += PRODUCED // PARTITIONS

    def commit(self, consumer, group, offsets):
        """Commits, and notes what was asked for and what was acked; whether all was."""
        with self.lock:
            for partition, offset in offsets.items():
                self.asked[group, partition] = max(offset, self.asked.get((group, partition), -1))
        try:
            partitions = [TopicPartition(TOPIC, p, o) for p, o in offsets.items()]
            done = consumer.commit(offsets=partitions, asynchronous=False)
        except KafkaException:
            return False
        with self.lock:
            for found in done:
                if found.error is None:
                    key = group, found.partition
                    self.acked[key] = max(found.offset, self.acked.get(key, -1))
                    self.commits += 1
        return all(found.error is None for found in done)

    def alone(self, group):
        """Commits ever higher offsets as a consumer that is not a member."""
        consumer, offset = Consumer({**self.settings, "group.id": group}), 0
        while not self.stopping.is_set():
            offset += 1
            self.commit(consumer, group, {p: offset for p in range(PARTITIONS)})
        consumer.close()

    def member(self, group):
        """Reads and commits what it has read. It does not leave: a member that is gone stays in its group for a session
        after each restart, as in Kafka, and the next rebalance waits for it; restarts come faster. So nothing is read for
        a while, too, when librdkafka has reached nobody for a session on a busy machine and has forgotten its member id."""
        consumer = Consumer({**self.settings, "group.id": group, "session.timeout.ms": 6000,
                             "heartbeat.interval.ms": 100})
        # What is not committed yet: nothing when partitions come or go.
        read = {}
        forget = lambda *_: read.clear()
        consumer.subscribe([TOPIC], on_assign=forget, on_revoke=forget, on_lost=forget)
        while not self.stopping.is_set():
            for message in consumer.consume(PRODUCED, 0.2):
                if not message.error():
                    read[message.partition()] = message.offset() + 1
                    self.reads += 1
            if read and self.commit(consumer, group, dict(read)):
                read.clear()
        consumer.close()

    def check(self):
        """No acked commit is behind, and nothing is there that nobody has asked for."""
        with self.lock:
            least = dict(self.acked)
        for group in {group for group, _ in least}:
            consumer = Consumer({**self.settings, "group.id": group})
            deadline = time.time() + 30
            while True:
                try:
                    found = consumer.committed([TopicPartition(TOPIC, p) for p in range(PARTITIONS)], 10)
                    break
                except KafkaException:
                    if time.time() > deadline:
                        raise
            for partition in found:
                wanted = least.get((group, partition.partition), -1)
                most = self.asked.get((group, partition.partition), -1)
                if not wanted <= max(partition.offset, -1) <= most:
                    sys.exit(f"FAILED {group} {partition.partition}: {partition.offset}, acked {wanted}, asked {most}")
            consumer.close()

    def describe(self, group, seconds=30):
        """The group's state, and the partitions of each member; asks until the coordinator is there."""
        deadline = time.time() + seconds
        while True:
            try:
                found = self.admin.describe_consumer_groups([group], request_timeout=3)[group].result(5)
                members = {m.member_id: sorted(t.partition for t in m.assignment.topic_partitions) for m in found.members}
                return found.state.name, members
            except KafkaException:
                if time.time() > deadline:
                    raise
                time.sleep(0.02)

    def await_end(self, seconds=60):
        """The group goes on: sessions of members that were lost end, then it reads on to the end. Returns the seconds."""
        began, moved, before = time.time(), time.time(), None
        while (at := [self.acked.get(("members", p)) for p in range(PARTITIONS)]) != [self.end] * PARTITIONS:
            if at != before:
                moved, before = time.time(), at
            if time.time() > moved + seconds:
                sys.exit(f"FAILED: the group does not go on: {at} of {self.end}, {self.describe('members')}")
            time.sleep(0.2)
        return time.time() - began

    def finish(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        self.check()
