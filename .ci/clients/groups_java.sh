#!/usr/bin/env bash
# Kafka's own consumer group tools, and kcat -G. Prints what they print, with names, hosts and times made equal, so that
# two brokers can be compared: groups_java.sh HOST:PORT JARS_DIR > a; diff a b
set -euo pipefail
bootstrap=$1
jars=$2
work=$(mktemp -d); trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT
t=org.apache.kafka.tools
tool() { local class=$1; shift; timeout 120 java -Xmx256m -cp "$jars/*" "$class" --bootstrap-server "$bootstrap" "$@" 2>&1 | grep -v 'SLF4J\|WARN\|StatusLogger\|Processed a total\|KIP-848' || true; }
groups() { echo "# $*"; tool $t.consumer.group.ConsumerGroupCommand "$@" | sed -E "s/$bootstrap/BROKER/g" | sed -E 's/ [A-Za-z0-9_-]{22} / MEMBER /g; s/-[0-9a-f]{8}-[0-9a-f-]{27}/-ID/g; s/[[:space:]]+/ /g; s/ $//' | sort; }
topic=groups-java; group=java-group

tool $t.TopicCommand --create --topic $topic --partitions 3 --replication-factor 1
for p in 0 1 2; do seq 1 100 | sed "s/^/$p-/" | kcat -b "$bootstrap" -P -t $topic -p $p; done
tool $t.consumer.ConsoleConsumer --topic $topic --group $group --from-beginning --max-messages 300 --timeout-ms 30000 | sort > "$work/got"
for p in 0 1 2; do seq 1 100 | sed "s/^/$p-/"; done | sort > "$work/want"
cmp "$work/want" "$work/got" && echo "ok kafka-console-consumer --group"
groups --list
groups --describe --group $group
groups --describe --group $group --state
timeout 300 java -Xmx256m -cp "$jars/*" $t.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic $topic --group $group > "$work/live" 2> /dev/null & consumer=$!
for _ in $(seq 1 60); do tool $t.consumer.group.ConsumerGroupCommand --describe --group $group --state | grep -q Stable && break; sleep 0.5; done
groups --describe --group $group
groups --describe --group $group --members --verbose
groups --describe --group $group --state
groups --list --state
groups --delete --group $group
groups --delete-offsets --group $group --topic $topic
groups --reset-offsets --group $group --topic $topic --to-earliest --execute
kill $consumer; wait $consumer 2> /dev/null || true
for _ in $(seq 1 60); do tool $t.consumer.group.ConsumerGroupCommand --describe --group $group --state | grep -q Empty && break; sleep 0.5; done
groups --reset-offsets --group $group --topic $topic --to-earliest --dry-run
groups --reset-offsets --group $group --topic $topic --shift-by -10 --execute
groups --reset-offsets --group $group --topic $topic:1 --to-offset 42 --execute
groups --reset-offsets --group $group --all-topics --to-datetime 2020-01-01T00:00:00.000 --execute
groups --reset-offsets --group $group --topic $topic --to-latest --execute
groups --describe --group $group --offsets
groups --delete-offsets --group $group --topic $topic:0
groups --describe --group $group --offsets
groups --delete --group $group
groups --describe --group $group
groups --list
group=java-new-group
tool $t.consumer.ConsoleConsumer --topic $topic --group $group --from-beginning --max-messages 300 --timeout-ms 30000 --command-property group.protocol=consumer | sort > "$work/got"
cmp "$work/want" "$work/got" && echo "ok kafka-console-consumer --group, group.protocol=consumer"
timeout 300 java -Xmx256m -cp "$jars/*" $t.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --include 'groups-.*' --group $group --command-property group.protocol=consumer > "$work/live" 2> /dev/null & consumer=$!
for _ in $(seq 1 60); do tool $t.consumer.group.ConsumerGroupCommand --describe --group $group --state | grep -q Stable && break; sleep 0.5; done
groups --describe --group $group
groups --describe --group $group --members --verbose
groups --describe --group $group --state
groups --list --state
groups --list --type
groups --delete-offsets --group $group --topic $topic
groups --delete --group $group
kill $consumer; wait $consumer 2> /dev/null || true
for _ in $(seq 1 60); do tool $t.consumer.group.ConsumerGroupCommand --describe --group $group --state | grep -q Empty && break; sleep 0.5; done
groups --describe --group $group --state
groups --reset-offsets --group $group --topic $topic --to-earliest --execute
groups --describe --group $group --offsets
groups --delete --group $group
kcat -q -b "$bootstrap" -X auto.offset.reset=earliest -G kcat-group $topic > "$work/kcat" 2> /dev/null & consumer=$!
for _ in $(seq 1 60); do [ "$(wc -l < "$work/kcat")" -ge 300 ] && break; sleep 0.5; done
kill $consumer; wait $consumer 2> /dev/null || true
sort "$work/kcat" | cmp - "$work/want" && echo "ok kcat -G"
