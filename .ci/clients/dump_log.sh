#!/usr/bin/env bash
# kafka-dump-log on a cleanly stopped data directory: metadata, and segments with their indexes.
# Usage: dump_log.sh DATA_DIRECTORY JARS_DIRECTORY
set -euo pipefail
data=$1
jars=$2
[ -e "$jars/kafka-clients-4.3.1.jar" ] || { echo "Apache Kafka's jars or a JDK are not there"; exit 77; }
command -v java > /dev/null || { echo "there is no Java"; exit 77; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
dump() { timeout 300 java -Xmx512m -cp "$jars/*" org.apache.kafka.tools.DumpLogSegments "$@" > "$work/out" 2> "$work/err" || { tail -20 "$work/err"; exit 1; }; }
list() { paste -sd,; }

dump --cluster-metadata-decoder --files "$data/__cluster_metadata-0/00000000000000000000.log"
grep -q '"type":"TOPIC_RECORD"' "$work/out"
echo "ok metadata: $(grep -c '"type":' "$work/out") records"

# Some of all segments: each file costs a line per batch.
mapfile -t logs < <(find "$data" -name '*.log' -not -path '*/__cluster_metadata-0/*' -not -path '*/.ringlog/*' -size +0 | sort | awk 'NR % 7 == 1' | head -300)
dump --deep-iteration --files "$(printf '%s\n' "${logs[@]}" | list)"
if grep -nE 'isvalid: false|Found .*error|[Ii]nvalid bytes|corrupt' "$work/out"; then exit 1; fi
echo "ok ${#logs[@]} segments, $(grep -c 'baseOffset:' "$work/out") batches, $(grep -c '| offset:' "$work/out") records"

indexes=()
for log in "${logs[@]:0:100}"; do indexes+=("${log%.log}.index" "${log%.log}.timeindex"); done
dump --index-sanity-check --files "$(printf '%s\n' "${indexes[@]}" | list)"
if grep -nE 'Mismatch|out of order|Found ' "$work/out"; then exit 1; fi
dump --files "$(printf '%s\n' "${indexes[@]}" | list)"
if grep -nE 'Found .*(mismatch|out of order)|Mismatch' "$work/out"; then exit 1; fi
echo "ok ${#indexes[@]} indexes"
