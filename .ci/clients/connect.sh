#!/usr/bin/env bash
# Kafka Connect, unmodified: a file into a topic and into a file again. First stand-alone, with the worker killed (-9) in
# the middle; then distributed, with its compacted topics for configs, offsets and status, two workers of which one is
# killed, and, where a command that does it is given, the broker killed and started again.
# At-least-once: lines may come twice after a kill; none is missing, and without the repetitions the files are equal.
# Needs kcat. Usage: connect.sh HOST:PORT JARS_DIR [COMMAND_THAT_KILLS_AND_RESTARTS_THE_BROKER]
set -euo pipefail
bootstrap=$1 jars=$2 restart=${3:-} lines=${LINES_COUNT:-20000}
command -v java > /dev/null || { echo "there is no Java"; exit 77; }
[ -e "$jars/connect-file-4.3.1.jar" ] || { echo "Apache Kafka's jars are not there"; exit 77; }
work=$(mktemp -d); trap 'kill -9 $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT
name=connect-$RANDOM$RANDOM

# Connect looks for plugins in folders: one with the file connector alone makes its scan short.
mkdir -p "$work/plugins/file"; cp "$jars"/connect-file-*.jar "$work/plugins/file"
cat > "$work/log4j2.properties" << 'LOG'
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n
LOG
worker_settings() { # REST_PORT
  echo "bootstrap.servers=$bootstrap
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=true
offset.flush.interval.ms=500
plugin.path=$work/plugins
listeners=http://127.0.0.1:$1"
}
worker() { # LOG CLASS FILE...
  local log=$1; shift
  java -Xmx256m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$work/log4j2.properties" -cp "$jars/*" "org.apache.kafka.connect.cli.$1" "${@:2}" >> "$log" 2>&1 &
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
grow() { # FILE FROM TO: lines come while the connectors run
  local at
  for ((at = $2; at < $3; at += 500)); do seq "$at" $((at + 499)) | sed "s/^/line /" >> "$1"; sleep 0.1; done
}
settled() { # SOURCE SINK SECONDS LOG: waits until the sink holds every line
  for _ in $(seq $(($3 * 2))); do
    if sort -u "$2" 2> /dev/null | cmp -s - <(sort -u "$1"); then
      echo "ok $(wc -l < "$1") lines equal, $(($(wc -l < "$2") - $(wc -l < "$1"))) of them twice"
      return 0
    fi
    sleep 0.5
  done
  echo "the sink has $(sort -u "$2" | wc -l) of $(wc -l < "$1") lines:"; sort -u "$2" | comm -3 <(sort -u "$1") - | head -5; tail -20 "$4"
  return 1
}

began=$SECONDS
{ worker_settings "$(free_port)"; echo "offset.storage.file.filename=$work/offsets"; } > "$work/standalone.properties"
echo "name=source
connector.class=FileStreamSource
tasks.max=1
file=$work/in
topic=$name-alone" > "$work/source.properties"
echo "name=sink
connector.class=FileStreamSink
tasks.max=1
file=$work/out
topics=$name-alone
consumer.override.session.timeout.ms=6000" > "$work/sink.properties"
echo "connector.client.config.override.policy=All" >> "$work/standalone.properties"
standalone() { worker "$work/standalone.log" ConnectStandalone "$work/standalone.properties" "$work/source.properties" "$work/sink.properties"; alone=$!; }
standalone
grow "$work/in" 0 $((lines / 2))
for _ in $(seq 120); do [ -s "$work/out" ] && break; sleep 0.5; done
grow "$work/in" $((lines / 2)) $((lines * 3 / 4))
kill -9 $alone; wait $alone 2> /dev/null || true
standalone
grow "$work/in" $((lines * 3 / 4)) "$lines"
settled "$work/in" "$work/out" 90 "$work/standalone.log"
kill $alone; wait $alone 2> /dev/null || true
echo "ok Connect, stand-alone: $((SECONDS - began)) s"

began=$SECONDS
port_a=$(free_port); port_b=$(free_port)
for port in "$port_a" "$port_b"; do
  { worker_settings "$port"; echo "group.id=$name
config.storage.topic=$name-configs
offset.storage.topic=$name-offsets
status.storage.topic=$name-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=5
session.timeout.ms=6000
heartbeat.interval.ms=1500
rebalance.timeout.ms=10000
scheduled.rebalance.max.delay.ms=2000
connector.client.config.override.policy=All"; } > "$work/distributed-$port.properties"
done
distributed() { worker "$work/distributed-$1.log" ConnectDistributed "$work/distributed-$1.properties"; }
rest() { curl -sf -m 10 -H 'Content-Type: application/json' "$@"; }
answers() { for _ in $(seq 180); do rest "http://127.0.0.1:$1/connectors" > /dev/null && return 0; sleep 0.5; done; echo "no REST at $1"; tail -20 "$work/distributed-$1.log"; return 1; }
put() { for _ in $(seq 60); do rest -o /dev/null -X PUT "http://127.0.0.1:$port_a/connectors/$1/config" -d "$2" && return 0; sleep 1; done; echo "connector $1 was refused"; tail -20 "$work/distributed-$port_a.log"; return 1; }
distributed "$port_a"; answers "$port_a"
distributed "$port_b"; b=$!; answers "$port_b"
put source "{\"connector.class\": \"FileStreamSource\", \"tasks.max\": \"1\", \"file\": \"$work/in2\", \"topic\": \"$name\"}"
put sink "{\"connector.class\": \"FileStreamSink\", \"tasks.max\": \"1\", \"file\": \"$work/out2\", \"topics\": \"$name\", \"consumer.override.session.timeout.ms\": \"6000\", \"consumer.override.auto.offset.reset\": \"earliest\"}"
grow "$work/in2" 0 $((lines / 2))
for _ in $(seq 120); do [ -s "$work/out2" ] && break; sleep 0.5; done
sleep 2 # Offsets are committed twice a second: with the first half, little more than what comes now can come twice.
kill -9 "$b"; wait "$b" 2> /dev/null || true
grow "$work/in2" $((lines / 2)) $((lines * 3 / 4))
if [ -n "$restart" ]; then $restart > /dev/null; fi
distributed "$port_b"
grow "$work/in2" $((lines * 3 / 4)) "$lines"
settled "$work/in2" "$work/out2" 120 "$work/distributed-$port_a.log"
# The sink may have read before the kill what the broker lost by it.
kcat -b "$bootstrap" -C -t "$name" -o beginning -e -q | grep -o '"payload":"[^"]*"' | cut -d'"' -f4 | sort -u > "$work/topic"
sort -u "$work/in2" | cmp - "$work/topic" || { echo "the topic has $(wc -l < "$work/topic") of $(wc -l < "$work/in2") lines"; exit 1; }
answers "$port_b"
for connector in source sink; do
  for _ in $(seq 60); do rest "http://127.0.0.1:$port_b/connectors/$connector/status" > "$work/status" && [ "$(grep -o RUNNING "$work/status" | wc -l)" = 2 ] && break; sleep 0.5; done
  [ "$(grep -o RUNNING "$work/status" | wc -l)" = 2 ] || { echo "connector $connector does not run:"; cat "$work/status"; exit 1; }
done
echo "ok Connect, distributed, one worker killed${restart:+, the broker killed}: $((SECONDS - began)) s"
