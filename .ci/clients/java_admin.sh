#!/usr/bin/env bash
# The admin tools of Apache Kafka against Ringlog and against real Kafka, on the same history: the outputs are equal.
# Usage: java_admin.sh RINGLOG_HOST:PORT KAFKA_HOST:PORT JARS_DIR   (both with node.id=1 and no other settings of their own)
set -uo pipefail
ringlog=$1 kafka=$2 jars=$3
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
failed=0
t=org.apache.kafka.tools

# What differs from run to run: addresses, ids, times, and into how many batches a producer packs its records.
normalise() { sed -E "s/$ringlog/HOST/g; s/$kafka/HOST/g; s/TopicId: [A-Za-z0-9_-]+/TopicId: ID/; s/^[0-9-]{10}T[0-9:.]+Z //; s/^Cluster ID: .*/Cluster ID/; s/(.size.:)[0-9]+/\1N/; s#.(logDir|log_dirs).:.*#DIR#; s/^1\s+[A-Za-z0-9_-]{22}\s+[0-9]+\s+0\s+[0-9]{13}\s+[0-9]{13}/1 ID END 0 NOW NOW/" "$1"; }
# Where the bootstrap server belongs behind the subcommand.
tool() { local bootstrap=$1 class=$2; shift 2; if [ "$class" = $t.ClusterTool ]; then set -- "$@" --bootstrap-server "$bootstrap"; else set -- --bootstrap-server "$bootstrap" "$@"; fi; timeout 60 java -Xmx128m -XX:TieredStopAtLevel=1 -cp "$jars/*" "$class" "$@" 2>&1; }

# same CLASS ARGS...: runs the tool against both and compares all that it prints.
same() {
  tool "$ringlog" "$@" > "$work/ringlog.out"; local ours=$?
  tool "$kafka" "$@" > "$work/kafka.out"; local theirs=$?
  normalise "$work/ringlog.out" > "$work/a"; normalise "$work/kafka.out" > "$work/b"
  if [ $ours = $theirs ] && diff "$work/b" "$work/a" > "$work/diff"; then
    echo "ok    ${1##*.} ${*:2}"
  else
    echo "DIFF  ${1##*.} ${*:2} (exit $theirs, $ours; < Kafka, > Ringlog)"; head -${DIFF_LINES:-12} "$work/diff"; failed=1
  fi
}

for broker in "$ringlog" "$kafka"; do
  tool "$broker" $t.TopicCommand --delete --topic 'admin.*' > /dev/null
done
sleep 1
same $t.TopicCommand --create --topic admin --partitions 2 --replication-factor 1 --config retention.ms=100000
same $t.TopicCommand --create --topic admin-bad --partitions 1 --config nonsense=1
same $t.TopicCommand --create --topic admin-bad --partitions 1 --config retention.ms=-7
same $t.TopicCommand --describe --topic admin
same kafka.admin.ConfigCommand --entity-type topics --entity-name admin --describe
same kafka.admin.ConfigCommand --entity-type topics --entity-name admin --alter --add-config segment.ms=1000,max.message.bytes=2000
same kafka.admin.ConfigCommand --entity-type topics --entity-name admin --alter --delete-config retention.ms
same kafka.admin.ConfigCommand --entity-type topics --entity-name admin --describe
same kafka.admin.ConfigCommand --entity-type topics --entity-name admin --alter --add-config segment.ms=soon
same kafka.admin.ConfigCommand --entity-type topics --entity-name admin-none --alter --add-config segment.ms=1000
same kafka.admin.ConfigCommand --entity-type brokers --entity-name 1 --alter --add-config log.retention.ms=1000000
same kafka.admin.ConfigCommand --entity-type brokers --entity-default --alter --add-config message.max.bytes=1000000
same kafka.admin.ConfigCommand --entity-type brokers --entity-name 1 --describe
same kafka.admin.ConfigCommand --entity-type brokers --entity-default --describe
same kafka.admin.ConfigCommand --entity-type topics --entity-name admin --describe
same kafka.admin.ConfigCommand --entity-type brokers --entity-name 1 --alter --delete-config log.retention.ms
same kafka.admin.ConfigCommand --entity-type brokers --entity-default --alter --delete-config message.max.bytes
same kafka.admin.ConfigCommand --entity-type brokers --entity-name 1 --alter --add-config node.id=3
same $t.TopicCommand --alter --topic admin --partitions 5
same $t.TopicCommand --alter --topic admin --partitions 3
same $t.TopicCommand --describe --topic admin
seq 1 100 > "$work/numbers"
for broker in "$ringlog" "$kafka"; do
  tool "$broker" $t.TopicCommand --create --topic admin-one --partitions 1 --replication-factor 1 > /dev/null
  tool "$broker" $t.ConsoleProducer --topic admin-one --command-property acks=all < "$work/numbers" > /dev/null
done
echo '{"partitions":[{"topic":"admin-one","partition":0,"offset":40}],"version":1}' > "$work/delete.json"
echo '{"partitions":[{"topic":"admin-one","partition":0,"offset":400}],"version":1}' > "$work/beyond.json"
echo '{"partitions":[{"topic":"admin-one","partition":0,"replicas":[1]}],"version":1}' > "$work/here.json"
echo '{"partitions":[{"topic":"admin-one","partition":0}]}' > "$work/elect.json"
same $t.DeleteRecordsCommand --offset-json-file "$work/delete.json"
same $t.DeleteRecordsCommand --offset-json-file "$work/beyond.json"
same $t.GetOffsetShell --topic admin-one --time earliest
same $t.MetadataQuorumCommand describe --replication
same $t.LeaderElectionCommand --election-type preferred --path-to-json-file "$work/elect.json"
same $t.reassign.ReassignPartitionsCommand --execute --reassignment-json-file "$work/here.json"
same $t.reassign.ReassignPartitionsCommand --list
same $t.ClusterTool cluster-id
same $t.LogDirsCommand --describe --topic-list admin-one
exit $failed
