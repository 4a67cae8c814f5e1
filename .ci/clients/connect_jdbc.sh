#!/usr/bin/env bash
# Kafka Connect with Debezium's JDBC sink, unmodified, into PostgreSQL: rows are written, changed and deleted through a topic
# of three partitions while the worker is killed (-9) and, where a command that does it is given, the broker too. The sink
# is at-least-once and its writes are upserts, so the table must hold exactly what the last record of each key says.
# Needs PostgreSQL's server (Debian: postgresql), kcat, Java and Maven. By hand: it takes a minute or two.
# Usage: connect_jdbc.sh HOST:PORT JARS_DIR [COMMAND_THAT_KILLS_AND_RESTARTS_THE_BROKER]
set -euo pipefail
bootstrap=$1 jars=$2 restart=${3:-} keys=${KEYS_COUNT:-9000} connector=3.5.0.Final
postgres=$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -V | tail -1)
[ -n "$postgres" ] || { echo "PostgreSQL is not installed (Debian: postgresql)"; exit 77; }
for command in kcat java mvn; do command -v $command > /dev/null || { echo "there is no $command"; exit 77; }; done
work=$(mktemp -d); chmod 755 "$work"
as_user() { if [ "$(id -u)" = 0 ]; then setpriv --reuid nobody --regid nogroup --clear-groups "$@"; else "$@"; fi; }
finish() { as_user "$postgres/pg_ctl" -D "$work/db/data" -m immediate stop > /dev/null 2>&1 || true; kill -9 $(jobs -p) 2> /dev/null || true; rm -rf "$work"; }
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
mkdir "$work/db"; [ "$(id -u)" != 0 ] || chown nobody:nogroup "$work/db"
port=$(free_port)
as_user "$postgres/initdb" -D "$work/db/data" -U ringlog -A trust > "$work/postgres.log" 2>&1
as_user "$postgres/pg_ctl" -D "$work/db/data" -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" -l "$work/db/log" -w start > /dev/null
query() { "$postgres/psql" -h 127.0.0.1 -p "$port" -U ringlog -d postgres -qtA -c "$1"; }

mkdir -p "$work/plugins"
mvn -q -B dependency:copy -Dartifact=io.debezium:debezium-connector-jdbc:$connector:tar.gz:plugin -DoutputDirectory="$work" > "$work/maven.log" 2>&1 \
  || { echo "Debezium's JDBC connector cannot be had: $(grep -m1 ERROR "$work/maven.log")"; exit 77; }
tar xzf "$work"/debezium-connector-jdbc-*.tar.gz -C "$work/plugins"

topic=jdbc_$RANDOM$RANDOM
echo "bootstrap.servers=$bootstrap
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
offset.flush.interval.ms=500
offset.storage.file.filename=$work/offsets
connector.client.config.override.policy=All
plugin.path=$work/plugins
listeners=http://127.0.0.1:$(free_port)" > "$work/worker.properties"
echo "name=$topic
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max=3
topics=$topic
connection.url=jdbc:postgresql://127.0.0.1:$port/postgres
connection.username=ringlog
connection.password=none
insert.mode=upsert
delete.enabled=true
primary.key.mode=record_key
schema.evolution=basic
collection.name.format=$topic
consumer.override.session.timeout.ms=6000
consumer.override.auto.offset.reset=earliest" > "$work/sink.properties"
worker() {
  java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$jars/*" org.apache.kafka.connect.cli.ConnectStandalone "$work/worker.properties" "$work/sink.properties" >> "$work/connect.log" 2>&1 &
  connect=$!
}

# Lines of `KEY<tab>VALUE` as the JSON converter wants them; an empty value is a tombstone.
rows() { # FIRST LAST STEP WORD (none: delete)
  seq "$1" "$3" "$2" | awk -v word="${4:-}" '
    { printf "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"field\":\"id\",\"type\":\"int32\"}]},\"payload\":{\"id\":%d}}\t", $1 }
    word == "" { print ""; next }
    { printf "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"field\":\"id\",\"type\":\"int32\"},{\"field\":\"word\",\"type\":\"string\"}]},\"payload\":{\"id\":%d,\"word\":\"%s %d\"}}\n", $1, word, $1 }'
}
send() { rows "$@" | kcat -b "$bootstrap" -t "$topic" -P -K '	' -Z -X acks=all -X enable.idempotence=true; }
expected() { # After all three: what the last record of each key says.
  seq 0 $((keys - 1)) | awk '$1 % 7 { print $1 "|" ($1 % 3 ? "first" : "second") " " $1 }'
}
settled() {
  for _ in $(seq 240); do
    if query "select id, word from \"$topic\" order by id" 2> /dev/null > "$work/rows" && cmp -s "$work/rows" <(expected); then return 0; fi
    sleep 0.5
  done
  echo "the table differs:"; diff "$work/rows" <(expected) | head -6; tail -20 "$work/connect.log"
  return 1
}

kcat -b "$bootstrap" -L -t "$topic" > /dev/null
began=$SECONDS
send 0 $((keys - 1)) 1 first & sender=$!
worker
for _ in $(seq 240); do [ "$(query "select count(*) from \"$topic\"" 2> /dev/null || echo 0)" -gt 0 ] && break; sleep 0.5; done
kill -9 $connect; wait $connect 2> /dev/null || true
wait "$sender"
send 0 $((keys - 1)) 3 second
worker
if [ -n "$restart" ]; then sleep 5; $restart > /dev/null; fi
send 0 $((keys - 1)) 7
settled
echo "ok Debezium's JDBC sink: $(wc -l < "$work/rows") rows equal, one worker killed${restart:+, the broker killed}: $((SECONDS - began)) s"
