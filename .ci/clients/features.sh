#!/usr/bin/env bash
# kafka-features against Ringlog and against real Kafka, both new: the same changes are made and refused, with the same words.
# Usage: features.sh RINGLOG_HOST:PORT KAFKA_HOST:PORT JARS_DIR
set -uo pipefail
ringlog=$1 kafka=$2 jars=$3
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=0

tool() { local bootstrap=$1; shift; timeout 60 java -Xmx128m -XX:TieredStopAtLevel=1 -cp "$jars/*" org.apache.kafka.tools.FeatureCommand --bootstrap-server "$bootstrap" "$@" 2>&1; }

# The epoch is an offset of the metadata log; which part of the node refuses is Kafka's affair.
normalise() { sed -E 's/Epoch: [0-9]+//; s/(Local controller|broker|controller) [0-9]+ (only|does)/This node \2/; s/\s+$//' "$1"; }

# same ARGS...: runs the tool against both and compares all that it prints.
same() {
  tool "$ringlog" "$@" > "$work/ringlog.out"; local ours=$?
  tool "$kafka" "$@" > "$work/kafka.out"; local theirs=$?
  if [ $ours = $theirs ] && diff <(normalise "$work/kafka.out") <(normalise "$work/ringlog.out") > "$work/diff"; then
    echo "ok    kafka-features $*"
  else
    echo "DIFF  kafka-features $* (exit $theirs, $ours; < Kafka, > Ringlog)"; head -12 "$work/diff"; failed=1
  fi
}

# described FEATURE: its line is the same. Features that are not there are not named by Ringlog.
described() {
  local line="^Feature: $1\b"
  if diff <(tool "$kafka" describe | grep "$line" > "$work/a"; normalise "$work/a") \
    <(tool "$ringlog" describe | grep "$line" > "$work/b"; normalise "$work/b"); then
    echo "ok    $1 is described"
  else
    failed=1
  fi
}

described metadata.version
described eligible.leader.replicas.version
same downgrade --feature metadata.version=29
same downgrade --feature group.version=0
described group.version
same upgrade --feature group.version=1
same upgrade --feature group.version=1 --dry-run
same upgrade --feature group.version=2
same upgrade --feature new.feature=1
same upgrade --metadata 4.3-IV0
described group.version
described metadata.version
exit $failed
