#!/usr/bin/env python3
"""Consumer groups with confluent-kafka, kafka-python and aiokafka: several members join, leave, crash (SIGKILL) and come
back while records flow. Every record arrives, a partition has one owner in a generation, no committed offset goes back.
Usage: groups_python.py HOST:PORT [CLIENT...]"""
import asyncio, collections, json, os, signal, subprocess, sys, threading, time, uuid

PARTITIONS, RECORDS = 8, 6000
CLIENTS = ["confluent", "confluent-cooperative", "confluent-consumer", "kafka-python", "aiokafka"]


def member(client, bootstrap, topic, group):
    """One member: prints what it is assigned, what it loses, what it gets, and what it committed, as lines of JSON."""
    def say(**event):
        print(json.dumps(event), flush=True)

    session = 6000
    if client.startswith("confluent"):
        from confluent_kafka import Consumer, KafkaException
        by_protocol = {
            "confluent": {"partition.assignment.strategy": "range", "session.timeout.ms": session},
            "confluent-cooperative": {
                "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": session},
            "confluent-consumer": {"group.protocol": "consumer"},
        }
        consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, **by_protocol[client],
        })

        def partitions(found):
            return [p.partition for p in found]

        consumer.subscribe(
            [topic],
            on_assign=lambda c, found: say(assigned=partitions(found)),
            on_revoke=lambda c, found: say(revoked=partitions(found)),
            on_lost=lambda c, found: say(revoked=partitions(found)))
        while True:
            got = consumer.consume(50, 0.2)
            for message in got:
                if message.error():
                    continue
                say(got=[message.partition(), message.offset(), message.value().decode()])
            if got:
                try:
                    done = consumer.commit(asynchronous=False)
                    say(committed=[[p.partition, p.offset] for p in done if p.error is None])
                except KafkaException:
                    pass
    elif client == "kafka-python":
        from kafka import KafkaConsumer, ConsumerRebalanceListener

        class Listener(ConsumerRebalanceListener):
            def on_partitions_assigned(self, found):
                say(assigned=[p.partition for p in found])

            def on_partitions_revoked(self, found):
                say(revoked=[p.partition for p in found])

        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
            session_timeout_ms=session, heartbeat_interval_ms=500)
        consumer.subscribe([topic], listener=Listener())
        while True:
            got = consumer.poll(200, max_records=50)
            for partition, records in got.items():
                for record in records:
                    say(got=[partition.partition, record.offset, record.value.decode()])
            if got:
                try:
                    consumer.commit()
                    say(committed=[[p.partition, records[-1].offset + 1] for p, records in got.items()])
                except Exception:
                    pass
    else:
        from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

        class AsyncListener(ConsumerRebalanceListener):
            async def on_partitions_assigned(self, found):
                say(assigned=[p.partition for p in found])

            async def on_partitions_revoked(self, found):
                say(revoked=[p.partition for p in found])

        async def run():
            consumer = AIOKafkaConsumer(
                bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                session_timeout_ms=session, heartbeat_interval_ms=500)
            consumer.subscribe([topic], listener=AsyncListener())
            await consumer.start()
            while True:
                got = await consumer.getmany(timeout_ms=200, max_records=50)
                for partition, records in got.items():
                    for record in records:
                        say(got=[partition.partition, record.offset, record.value.decode()])
                if got:
                    try:
                        await consumer.commit()
                        say(committed=[[p.partition, records[-1].offset + 1] for p, records in got.items()])
                    except Exception:
                        pass

        asyncio.run(run())


class Members:
    """Starts and kills members, and follows what they say."""

    def __init__(self, client, bootstrap, topic, group):
        self.arguments = [sys.executable, __file__, "--member", client, bootstrap, topic, group]
        self.lock = threading.Lock()
        self.running, self.owners, self.got, self.committed = {}, {}, collections.Counter(), {}
        self.problems, self.rebalances, self.started = [], 0, 0

    def start(self):
        process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        with self.lock:
            self.started += 1
            self.running[process.pid] = process
        threading.Thread(target=self.follow, args=(process,), daemon=True).start()
        return process.pid

    def stop(self, pid, how):
        process = self.running.pop(pid)
        process.send_signal(how)
        process.wait(30)
        # Its last lines are read before its partitions count as free.
        time.sleep(0.2)
        with self.lock:
            self.owners = {p: owner for p, owner in self.owners.items() if owner != pid}

    def follow(self, process):
        for line in process.stdout:
            event = json.loads(line)
            with self.lock:
                self.note(process.pid, event)

    def note(self, pid, event):
        for partition in event.get("revoked", []):
            if self.owners.get(partition) == pid:
                del self.owners[partition]
        if "assigned" in event:
            self.rebalances += 1
            for partition in event["assigned"]:
                owner = self.owners.get(partition)
                if owner not in (None, pid) and owner in self.running:
                    self.problems.append(f"partition {partition} given to {pid} while {owner} holds it")
                self.owners[partition] = pid
        if "got" in event:
            self.got[event["got"][2]] += 1
        for partition, offset in event.get("committed", []):
            self.committed[partition] = max(offset, self.committed.get(partition, 0))


def run(client, bootstrap):
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, NewTopic

    topic, group = f"groups-{client}-{uuid.uuid4().hex[:6]}", f"group-{client}-{uuid.uuid4().hex[:6]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    members = Members(client, bootstrap, topic, group)
    pids = [members.start() for _ in range(3)]
    checker = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    seen, behind = {}, []

    def check_committed():
        with members.lock:
            acked = dict(members.committed)
        for found in checker.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], 20):
            least = max(acked.get(found.partition, 0), seen.get(found.partition, 0))
            if max(found.offset, 0) < least:
                behind.append((found.partition, found.offset, least))
            seen[found.partition] = max(found.offset, 0)

    sent = 0
    for round_number in range(12):
        for _ in range(RECORDS // 12):
            producer.produce(topic, str(sent).encode(), partition=sent % PARTITIONS)
            sent += 1
        producer.flush(30)
        what = ["join", "leave", "kill", "join"][round_number % 4]
        if what == "join":
            pids.append(members.start())
        else:
            members.stop(pids.pop(0), signal.SIGTERM if what == "leave" else signal.SIGKILL)
        time.sleep(1.5)
        check_committed()
    deadline = time.time() + 90
    while len(members.got) < sent and time.time() < deadline:
        time.sleep(0.5)
    check_committed()
    for pid in pids:
        members.stop(pid, signal.SIGKILL)
    again = sum(members.got.values()) - len(members.got)
    print(f"{client}: {len(members.got)} of {sent} records, {again} of them again after a crash, "
          f"{members.started} members, {members.rebalances} assignments, problems {members.problems[:3]}, behind {behind[:3]}")
    if len(members.got) < sent or members.problems or behind:
        sys.exit(f"FAILED {client}")
    print(f"ok groups {client}")


if sys.argv[1] == "--member":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    member(*sys.argv[2:])
else:
    for name in sys.argv[2:] or CLIENTS:
        run(name, sys.argv[1])
