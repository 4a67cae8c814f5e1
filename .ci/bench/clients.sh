#!/usr/bin/env bash
# The load generator beside kafka-producer-perf-test and librdkafka's rdkafka_performance: what each of them gets into
# the same real Kafka, at the same record and batch size, and the CPU that the client takes for it. Kafka's own metrics
# say how much came in. Takes about two minutes; by hand, on a machine with nothing else to do.
#
#   .ci/bench/clients.sh BIN RDKAFKA_PERFORMANCE [RECORDS]
#
# BIN is a folder with ringlog-bench and ringlog-loadgen. rdkafka_performance is built from the source that the crate
# rdkafka-sys carries, outside of this project (without a folder of its own, `cargo fetch` for any crate that needs it):
#   cd librdkafka && ./configure && make -C src && make -C examples rdkafka_performance
set -euo pipefail
bin=$(realpath "$1"); rdkafka=$(realpath "$2"); records=${3:-3000000}
record_bytes=100; batch_bytes=16384; port=19392; jmx=19394
folder=$(mktemp -d -p "${TMPDIR:-/var/tmp}")
jars=$("$bin/ringlog-bench" kafka path)
jmx_flags="-Dcom.sun.management.jmxremote.port=$jmx -Dcom.sun.management.jmxremote.authenticate=false \
-Dcom.sun.management.jmxremote.ssl=false -Dcom.sun.management.jmxremote.host=127.0.0.1 -Djava.rmi.server.hostname=127.0.0.1"
JAVA_TOOL_OPTIONS=$jmx_flags "$bin/ringlog-bench" kafka start --folder "$folder/node" --port $port >&2
trap '"$bin/ringlog-bench" kafka stop --folder "$folder/node" >&2; rm -rf "$folder"' EXIT

# Records and bytes that Kafka has counted for a topic.
came_in() {
  for metric in MessagesInPerSec BytesInPerSec; do
    java -cp "$jars/*" org.apache.kafka.tools.JmxTool --jmx-url "service:jmx:rmi:///jndi/rmi://127.0.0.1:$jmx/jmxrmi" \
      --object-name "kafka.server:type=BrokerTopicMetrics,name=$metric,topic=$1" --attributes Count --one-time \
      --report-format tsv 2>/dev/null | awk '{ value = $NF } END { printf "%s ", value }'
  done
}
topic() { java -cp "$jars/*" org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:$port --create --topic "$1" --partitions 1 >/dev/null 2>&1; }
# One client: `run NAME TOPIC COMMAND...`, with its time on a line of its own.
run() {
  local name=$1 topic=$2; shift 2
  topic "$topic"
  /usr/bin/time -o "$folder/time" -f '%e %U %S' "$@" > "$folder/$name.out" 2>&1
  read -r real user system < <(tail -n 1 "$folder/time")
  read -r came bytes < <(came_in "$topic")
  awk -v n="$name" -v r="$real" -v c="$(echo "$user + $system" | bc)" -v m="$came" -v b="$bytes" 'BEGIN {
    printf "%-28s %9d records, %10d bytes in Kafka'"'"'s metrics; process %.1f s, client CPU %.2f s = %.2f s per GB\n", n, m, b, r, c, c / b * 1e9 }'
  grep -E 'records/sec|records/s|msgs/s|^throughput' "$folder/$name.out" | tail -n 1 | sed 's/^/    /' || true
}

loadgen() {
  run "$1" "$1" "$bin/ringlog-loadgen" produce --bootstrap 127.0.0.1:$port --topic "$1" --connections 1 --inflight 5 \
    --acks 1 --num-records "$records" --record-size $record_bytes --batch-bytes 16k --kafka-style
}
loadgen warm-up
loadgen ringlog-loadgen
run kafka-producer-perf-test perf java -Xmx512m -cp "$jars/*" org.apache.kafka.tools.ProducerPerformance \
  --bootstrap-server 127.0.0.1:$port --topic perf --num-records "$records" --record-size $record_bytes --throughput -1 \
  --command-property acks=1 batch.size=$batch_bytes linger.ms=5 max.in.flight.requests.per.connection=5
run rdkafka_performance rdkafka "$rdkafka" -P -t rdkafka -b 127.0.0.1:$port -s $record_bytes -c "$records" -a 1 -q \
  -X batch.size=$batch_bytes -X linger.ms=5 -X queue.buffering.max.messages=1000000 \
  -X max.in.flight.requests.per.connection=5
loadgen ringlog-loadgen-again
