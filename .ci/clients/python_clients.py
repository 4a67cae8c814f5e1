#!/usr/bin/env python3
"""confluent-kafka and kafka-python: produce and consume by assignment, admin calls. Usage: python_clients.py HOST:PORT"""
import sys, time, uuid

bootstrap = sys.argv[1]


def check(name, got, wanted):
    if got != wanted:
        sys.exit(f"FAILED {name}: got {str(got)[:300]}, wanted {str(wanted)[:300]}")
    print(f"ok {name}")


def confluent():
    from confluent_kafka import Consumer, Producer, TopicPartition, version, libversion
    from confluent_kafka.admin import AdminClient, NewTopic

    print(f"confluent-kafka {version()}, librdkafka {libversion()[0]}")
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topic = f"confluent-{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(topic, 4, 1)])[topic].result(30)
    check("confluent create", len(admin.list_topics(topic, 10).topics[topic].partitions), 4)

    failed = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    sent = {p: [] for p in range(4)}
    for i in range(20000):
        p = i % 4
        value = None if i % 1000 == 3 else f"value {i}".encode() * (i % 7)
        key = None if i % 5 == 0 else f"key {i}".encode()
        sent[p].append((key, value))
        producer.produce(topic, value, key, p, on_delivery=lambda e, m: failed.append(e) if e else None)
        if i % 1000 == 0:
            producer.poll(0)
    check("confluent flush", producer.flush(60), 0)
    check("confluent deliveries", failed, [])

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(4)])
    got = {p: [] for p in range(4)}
    deadline = time.time() + 60
    count = 0
    while count < 20000 and time.time() < deadline:
        for message in consumer.consume(1000, 1.0):
            if message.error():
                sys.exit(f"FAILED confluent consume: {message.error()}")
            if message.offset() != len(got[message.partition()]):
                sys.exit(f"FAILED confluent offset {message.offset()}")
            got[message.partition()].append((message.key(), message.value()))
            count += 1
    check("confluent same records", got, sent)
    check("confluent watermarks", consumer.get_watermark_offsets(TopicPartition(topic, 0), 10), (0, 5000))
    consumer.close()
    admin.delete_topics([topic])[topic].result(30)
    check("confluent delete", topic in admin.list_topics(timeout=10).topics, False)


def kafka_python():
    import kafka
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    print(f"kafka-python {kafka.__version__}")
    topic = f"kafka-python-{uuid.uuid4().hex[:8]}"
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", retries=5)
    futures = [producer.send(topic, f"value {i}".encode(), f"key {i}".encode(), partition=0) for i in range(2000)]
    producer.flush(60)
    check("kafka-python offsets", [f.get(30).offset for f in futures], list(range(2000)))
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=10000)
    consumer.assign([TopicPartition(topic, 0)])
    got = []
    for record in consumer:
        got.append((record.offset, record.key, record.value))
        if len(got) == 2000:
            break
    check("kafka-python same records", got, [(i, f"key {i}".encode(), f"value {i}".encode()) for i in range(2000)])
    at = consumer.offsets_for_times({TopicPartition(topic, 0): 0})[TopicPartition(topic, 0)]
    check("kafka-python offset for time 0", at.offset, 0)
    consumer.close()
    producer.close()


confluent()
kafka_python()
