#!/usr/bin/env bash
# Apache Kafka's LogCompactionTester against Ringlog: what it reads of a compacted topic, without duplicates, is what it wrote.
# It is in the tests of Kafka's `core`: mvn dependency:copy -Dartifact=org.apache.kafka:kafka_2.13:4.3.1:jar:test
# Usage: log_compaction_tester.sh RINGLOG_BINARY JARS_DIR TEST_JAR [MESSAGES]
set -euo pipefail
binary=$1 jars=$2 test_jar=$3 messages=${4:-60000}
work=$(mktemp -d); broker=
trap '[ -z "$broker" ] || { kill "$broker"; wait "$broker" || true; }; rm -rf "$work"' EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$binary" --shards 2 --override "listeners=PLAINTEXT://127.0.0.1:$port" --override "log.dirs=$work/data" \
  --override ringlog.internal.segment.bytes=100000 --override log.cleaner.backoff.ms=200 \
  --override log.cleaner.min.cleanable.ratio=0.01 > "$work/broker.log" 2>&1 &
broker=$!
for _ in $(seq 100); do grep -q "^ready" "$work/broker.log" && break; sleep 0.1; done
java -Xmx512m -Djava.io.tmpdir="$work" -cp "$jars/*:$test_jar" org.apache.kafka.tools.LogCompactionTester \
  --bootstrap-server "127.0.0.1:$port" --messages "$messages" --topics 2 --duplicates 5 --percent-deletes 20 --sleep 20 > "$work/tester.log" 2>&1 \
  || { tail -20 "$work/tester.log"; exit 1; }
grep -E "rows of data|Validated" "$work/tester.log"
grep -q ", 0 mismatches" "$work/tester.log"
# All there is would be no mismatch either.
read -r produced consumed < <(sed -nE 's/^([0-9]+) rows of data produced, ([0-9]+) rows.*/\1 \2/p' "$work/tester.log")
[ "$consumed" -lt $((produced / 2)) ]
