#!/usr/bin/env bash
# The load generator beside kafka-producer-perf-test and librdkafka's rdkafka_performance: what each of them gets into
# the same real Kafka, at the same record and batch size, and the CPU that the client takes for it, its start included,
# and Kafka meanwhile.
# They take turns in ROUNDS rounds, each the other way round than the one before; medians come last. Kafka's own metrics
# say how much came in. By hand: a round takes a minute or two. The load generator sends whole batches: a few records
# more than it was asked for.
#
#   [ROUNDS=3] [CLIENTS="loadgen perf_test rdkafka"] [PORT=29392] .ci/bench/clients.sh BIN RDKAFKA_PERFORMANCE [RECORDS]
#
# BIN is a folder with ringlog-bench and ringlog-loadgen. rdkafka_performance is built from the source that the crate
# rdkafka-sys carries, outside of this project (without a folder of its own, `cargo fetch` for any crate that needs it):
#   cd librdkafka && ./configure && make -C src && make -C examples rdkafka_performance
set -euo pipefail
bin=$(realpath "$1"); rdkafka=$(realpath "$2"); records=${3:-3000000}
record_bytes=100; batch_bytes=16384; rounds=${ROUNDS:-3}; clients=${CLIENTS:-loadgen perf_test rdkafka}; port=${PORT:-29392}; jmx=$((port + 2))
folder=$(mktemp -d -p "${TMPDIR:-/var/tmp}")
trap 'rm -rf "$folder"' EXIT
jars=$("$bin/ringlog-bench" kafka path)
jmx_flags="-Dcom.sun.management.jmxremote.port=$jmx -Dcom.sun.management.jmxremote.authenticate=false \
-Dcom.sun.management.jmxremote.ssl=false -Dcom.sun.management.jmxremote.host=127.0.0.1 -Djava.rmi.server.hostname=127.0.0.1"
JAVA_TOOL_OPTIONS=$jmx_flags "$bin/ringlog-bench" kafka start --folder "$folder/node" --port "$port" >&2
trap '"$bin/ringlog-bench" kafka stop --folder "$folder/node" >&2; rm -rf "$folder"' EXIT

# Records and bytes that Kafka has counted for a topic.
came_in() {
  for metric in MessagesInPerSec BytesInPerSec; do
    java -cp "$jars/*" org.apache.kafka.tools.JmxTool --jmx-url "service:jmx:rmi:///jndi/rmi://127.0.0.1:$jmx/jmxrmi" \
      --object-name "kafka.server:type=BrokerTopicMetrics,name=$metric,topic=$1" --attributes Count --one-time \
      --report-format tsv 2>"$folder/jmx.err" | awk '{ value = $NF } END { printf "%s ", value }'
  done
  echo
}
topic() {
  java -cp "$jars/*" org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$port" --create --topic "$1" \
    --partitions 1 > "$folder/topic.out" 2>&1 || { cat "$folder/topic.out" >&2; return 1; }
}
# What a client says of its own throughput, in records per second.
own_figure() { grep -oE '[0-9.]+ (records/sec|msgs/s)' "$1" | tail -n 1 | cut -d' ' -f1; }

# CPU seconds that Kafka has taken so far.
broker_cpu() {
  awk -v ticks="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / ticks }' \
    "/proc/$(cat "$folder/node/kafka.pid")/stat"
}

# One client: `run NAME TOPIC COMMAND...`.
run() {
  local name=$1 topic=$2; shift 2
  topic "$topic"
  local broker; broker=$(broker_cpu)
  /usr/bin/time -o "$folder/time" -f '%U %S %e' "$@" > "$folder/client.out" 2>&1 || { cat "$folder/client.out" >&2; return 1; }
  broker=$(echo "$(broker_cpu) - $broker" | bc)
  read -r user system elapsed < <(tail -n 1 "$folder/time")
  read -r came bytes < <(came_in "$topic")
  awk -v name="$name" -v rate="$(own_figure "$folder/client.out")" -v cpu="$(echo "$user + $system" | bc)" -v came="$came" \
    -v bytes="$bytes" -v sent="$records" -v broker="$broker" -v elapsed="$elapsed" 'BEGIN {
    printf "%-26s %10.0f records/s, client CPU %6.2f s = %5.2f us a record, Kafka %5.2f us a record, %3.0f %% of a core;" \
      " it counted %d records of %d, %d bytes\n", name, rate, cpu, cpu / sent * 1e6, broker / sent * 1e6,
      broker / elapsed * 100, came, sent, bytes }' | tee -a "$folder/lines"
}
loadgen() {
  run ringlog-loadgen "$1" "$bin/ringlog-loadgen" produce --bootstrap "127.0.0.1:$port" --topic "$1" --connections 1 \
    --inflight 5 --acks 1 --num-records "$records" --record-size $record_bytes --batch-bytes 16k --kafka-style
}
perf_test() {
  run kafka-producer-perf-test "$1" java -Xmx512m -cp "$jars/*" org.apache.kafka.tools.ProducerPerformance \
    --bootstrap-server "127.0.0.1:$port" --topic "$1" --num-records "$records" --record-size $record_bytes \
    --throughput -1 --command-property acks=1 batch.size=$batch_bytes linger.ms=5 max.in.flight.requests.per.connection=5
}
rdkafka() {
  run rdkafka_performance "$1" "$rdkafka" -P -t "$1" -b "127.0.0.1:$port" -s $record_bytes -c "$records" -a 1 -q \
    -X batch.size=$batch_bytes -X linger.ms=5 -X queue.buffering.max.messages=1000000 \
    -X max.in.flight.requests.per.connection=5
}
echo "warm-up: until Kafka is compiled, else who comes first seems slow"
(records=$((records * 5)); loadgen warm-up)
: > "$folder/lines"
echo "rounds:"
for round in $(seq "$rounds"); do
  turns=$clients
  [ $((round % 2)) = 1 ] || turns=$(echo "$clients" | tr ' ' '\n' | tac)
  for client in $turns; do "$client" "$client-$round"; done
done
echo "medians:"
for name in $(cut -d ' ' -f 1 "$folder/lines" | sort -u); do
  median() { awk -v name="$name" -v field="$1" '$1 == name { print $field }' "$folder/lines" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
  printf '%-26s %10s records/s, client CPU %s us a record, Kafka %s us\n' "$name" "$(median 2)" "$(median 9)" \
    "$(median 14)"
done
