#!/usr/bin/env python3
"""Consumer groups with confluent-kafka, kafka-python and aiokafka, see groups_members.py.
Usage: groups_python.py HOST:PORT [CLIENT...]"""
import asyncio, json, os, signal, sys, threading

import groups_members

CLIENTS = ["confluent", "confluent-cooperative", "confluent-consumer", "kafka-python", "aiokafka"]


def member(client, bootstrap, topic, group):
    """One member: prints what it is assigned, what it loses, what it gets, and what it committed, as lines of JSON. It leaves
    the group at SIGTERM."""
    is_to_leave = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_to_leave.set())

    def say(**event):
        print(json.dumps(event), flush=True)

    session, client_id = 6000, f"member-{os.getpid()}"
    if client.startswith("confluent"):
        from confluent_kafka import Consumer, KafkaException
        by_protocol = {
            "confluent": {"partition.assignment.strategy": "range", "session.timeout.ms": session},
            "confluent-cooperative": {
                "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": session},
            "confluent-consumer": {"group.protocol": "consumer"},
        }
        consumer = Consumer({
            "bootstrap.servers": bootstrap, "client.id": client_id, "group.id": group, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, **by_protocol[client],
        })

        def partitions(found):
            return [p.partition for p in found]

        consumer.subscribe(
            [topic],
            on_assign=lambda c, found: say(assigned=partitions(found)),
            on_revoke=lambda c, found: say(revoked=partitions(found)),
            on_lost=lambda c, found: say(revoked=partitions(found)))
        while not is_to_leave.is_set():
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
        consumer.close()
    elif client == "kafka-python":
        from kafka import KafkaConsumer, ConsumerRebalanceListener

        class Listener(ConsumerRebalanceListener):
            def on_partitions_assigned(self, found):
                say(assigned=[p.partition for p in found])

            def on_partitions_revoked(self, found):
                say(revoked=[p.partition for p in found])

        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap, client_id=client_id, group_id=group, auto_offset_reset="earliest",
            enable_auto_commit=False, session_timeout_ms=session, heartbeat_interval_ms=500)
        consumer.subscribe([topic], listener=Listener())
        while not is_to_leave.is_set():
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
        consumer.close()
    else:
        from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

        class AsyncListener(ConsumerRebalanceListener):
            async def on_partitions_assigned(self, found):
                say(assigned=[p.partition for p in found])

            async def on_partitions_revoked(self, found):
                say(revoked=[p.partition for p in found])

        async def run():
            consumer = AIOKafkaConsumer(
                bootstrap_servers=bootstrap, client_id=client_id, group_id=group, auto_offset_reset="earliest",
                enable_auto_commit=False, session_timeout_ms=session, heartbeat_interval_ms=500)
            consumer.subscribe([topic], listener=AsyncListener())
            await consumer.start()
            while not is_to_leave.is_set():
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
            await consumer.stop()

        asyncio.run(run())


if sys.argv[1] == "--member":
    member(*sys.argv[2:])
else:
    for name in sys.argv[2:] or CLIENTS:
        groups_members.run(name, [sys.executable, __file__, "--member", name], sys.argv[1])
