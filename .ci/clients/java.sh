#!/usr/bin/env bash
# Apache Kafka's own command line tools. Usage: java.sh HOST:PORT JARS_DIR
set -euo pipefail
bootstrap=$1
jars=$2
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
tool() { local class=$1; shift; timeout 120 java -Xmx256m -cp "$jars/*" "$class" "$@" 2>> "$work/stderr" || { tail -20 "$work/stderr"; echo "FAILED $class $*"; exit 1; }; }
t=org.apache.kafka.tools
topic=java-$$

tool $t.TopicCommand --bootstrap-server "$bootstrap" --create --topic "$topic" --partitions 3 --replication-factor 1 > "$work/out"
grep -q "Created topic $topic" "$work/out"
tool $t.TopicCommand --bootstrap-server "$bootstrap" --list | grep -qx "$topic"
echo "ok kafka-topics"
tool $t.BrokerApiVersionsCommand --bootstrap-server "$bootstrap" > "$work/out"; grep -q 'Produce(0): ' "$work/out"
echo "ok kafka-broker-api-versions"
seq 1 1000 | sed 's/^/k&:v&/' | tool $t.ConsoleProducer --bootstrap-server "$bootstrap" --topic "$topic" --command-property acks=all --reader-property parse.key=true --reader-property key.separator=:
: > "$work/got"
tool $t.GetOffsetShell --bootstrap-server "$bootstrap" --topic "$topic" > "$work/offsets"
[ "$(awk -F: '{ n += $3 } END { print n }' "$work/offsets")" = 1000 ]
echo "ok kafka-console-producer, kafka-get-offsets"
while IFS=: read -r _ partition count; do
  [ "$count" = 0 ] || tool $t.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic "$topic" --partition "$partition" --offset earliest --max-messages "$count" --formatter-property print.key=true --formatter-property key.separator=: >> "$work/got"
done < "$work/offsets"
seq 1 1000 | sed 's/^/k&:v&/' | sort > "$work/a"; sort "$work/got" > "$work/b"; cmp "$work/a" "$work/b"
echo "ok kafka-console-consumer"
tool $t.ProducerPerformance --bootstrap-server "$bootstrap" --topic "perf-$$" --num-records 200000 --record-size 100 --throughput -1 --command-property acks=all > "$work/out"
grep -q '^200000 records sent' "$work/out"; tail -1 "$work/out"
echo "ok kafka-producer-perf-test"
tool $t.VerifiableProducer --bootstrap-server "$bootstrap" --topic "verifiable-$$" --max-messages 5000 > "$work/out"
grep -q '"acked":5000' "$work/out"
echo "ok kafka-verifiable-producer"
tool $t.TopicCommand --bootstrap-server "$bootstrap" --delete --topic "$topic"
echo "ok kafka-topics --delete"
