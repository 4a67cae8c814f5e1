#!/usr/bin/env bash
# Kafka Streams, unmodified: a word count with a join, a repartition topic and two stores, in two instances of which one
# is killed with SIGKILL under load and comes back; what comes out equals the model. Then kafka-streams-application-reset,
# and all of it again from the start of the input.
# Usage: streams.sh HOST:PORT JARS_DIR [LINES] [SECONDS]
set -euo pipefail
cd "$(dirname "$0")"
bootstrap=$1 jars=$2 lines=${3:-20000} seconds=${4:-12}
command -v javac > /dev/null || { echo "there is no JDK"; exit 77; }
[ -e "$jars/kafka-streams-4.3.1.jar" ] || { echo "Apache Kafka's jars are not there"; exit 77; }
work=$(mktemp -d); trap 'kill -9 $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT
application=streams-word-count

cat > "$work/log4j2.properties" << 'LOG'
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.target = SYSTEM_ERR
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n
LOG
javac -cp "$jars/*" -d "$work/classes" streams/WordCount.java
java=(java -Xmx256m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$work/log4j2.properties" -cp "$work/classes:$jars/*")
count() { timeout 300 "${java[@]}" WordCount "$@" 2> "$work/count.log" || { tail -20 "$work/count.log"; return 1; }; }
instance() { "${java[@]}" WordCount run "$bootstrap" $application "$work/state-$1" "${2:-at_least_once}" >> "$work/instance-$1" 2>> "$work/instance-$1.log" & }
wait_for() { # FILE PATTERN SECONDS
  for _ in $(seq $(($3 * 5))); do ! grep -q "$2" "$1" 2> /dev/null || return 0; sleep 0.2; done
  echo "no '$2' within $3 s:"; tail -5 "$1"; tail -20 "$1.log"; return 1
}
alive() { for pid in "$@"; do kill -0 "$pid" 2> /dev/null || { echo "an instance ended by itself"; cat "$work"/instance-?; tail -20 "$work"/instance-?.log; return 1; }; done; }
reset() {
  timeout 60 java -Xmx128m -cp "$jars/*" org.apache.kafka.tools.StreamsResetter --bootstrap-server "$bootstrap" --application-id $application \
    --input-topics streams-lines,streams-authors "$@" 2>&1 | grep -v 'SLF4J\|StatusLogger'
}

count delete "$bootstrap" > /dev/null
count create "$bootstrap"
began=$SECONDS
instance a; a=$!
instance b; b=$!
wait_for "$work/instance-a" 'state RUNNING' 60
wait_for "$work/instance-b" 'state RUNNING' 60
count produce "$bootstrap" "$lines" "$seconds" & producer=$!
sleep $((seconds / 3))
alive "$a" "$b"
kill -9 "$a"; wait "$a" 2> /dev/null || true
sleep 2
: > "$work/instance-a"
instance a; a=$!
wait "$producer"
wait_for "$work/instance-a" 'state RUNNING' 60
count check "$bootstrap" "$lines" 120
alive "$a" "$b"
kill "$a" "$b"; wait "$a" "$b" 2> /dev/null || true
echo "ok kafka-streams, one instance killed and restarted: $((SECONDS - began)) s"

# Streams does not leave its group when it closes: the tool removes the members.
reset --force > "$work/reset" || { cat "$work/reset"; exit 1; }
grep -A20 'Done\|Deleting\|deleted' "$work/reset" | sed 's/^/  /'
timeout 60 java -Xmx128m -cp "$jars/*" org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" --list 2> /dev/null > "$work/topics"
if grep "^$application-" "$work/topics"; then echo "internal topics are left"; exit 1; fi
echo "ok kafka-streams-application-reset"
rm -r "$work"/state-?
count clear "$bootstrap"
: > "$work/instance-a"
began=$SECONDS
instance a; a=$!
wait_for "$work/instance-a" 'state RUNNING' 60
count check "$bootstrap" "$lines" 120
kill "$a"; wait "$a" 2> /dev/null || true
echo "ok the same again after the reset: $((SECONDS - began)) s"
