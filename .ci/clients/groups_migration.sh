#!/usr/bin/env bash
# Kafka's own consumers roll from the classic protocol to the consumer protocol and back, under load, one at a time:
# every record is delivered, and the group's type follows its members.
# Usage: groups_migration.sh HOST:PORT JARS_DIR
set -euo pipefail
bootstrap=$1 jars=$2
command -v java > /dev/null && command -v kcat > /dev/null || { echo "there is no Java, or no kcat"; exit 77; }
work=$(mktemp -d); trap 'kill -9 $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT
name=migration-$RANDOM$RANDOM
began=$SECONDS
t=org.apache.kafka.tools
java=(java -Xmx128m -XX:TieredStopAtLevel=1 -cp "$jars/*")
tool() { timeout 60 "${java[@]}" "$1" --bootstrap-server "$bootstrap" "${@:2}" 2> /dev/null; }
consumer() { # NUMBER PROTOCOL
  local more=(--command-property heartbeat.interval.ms=1000 --command-property session.timeout.ms=10000
    --command-property partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor)
  [ "$2" = classic ] || more=()
  "${java[@]}" $t.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic $name --group $name --from-beginning \
    --command-property group.protocol="$2" --command-property auto.commit.interval.ms=500 "${more[@]}" >> "$work/out-$1" 2>> "$work/log-$1" &
  pids[$1]=$!
}
members() { # COUNT: waits until the group is stable with so many members; prints its type
  for _ in $(seq 40); do
    tool $t.consumer.group.ConsumerGroupCommand --describe --group $name --state > "$work/state" || true
    if awk -v want="$1" '/Stable/ && $NF == want { found = 1 } END { exit !found }' "$work/state"; then
      tool $t.GroupsCommand --list | awk -v group=$name '$1 == group { print $2 }'
      return 0
    fi
    sleep 0.5
  done
  echo "no stable group of $1 members:"; cat "$work/state"; tail -3 "$work"/log-*; return 1
}
expect() { local is; is=$(members "$1") || { echo "$is"; exit 1; }; [ "$is" = "$2" ] || { echo "the group is '$is', not $2, $3"; exit 1; }; echo "ok $3: $2, $1 members"; }
replace() { kill "${pids[$1]}"; wait "${pids[$1]}" 2> /dev/null || true; consumer "$1" "$2"; }

tool $t.TopicCommand --create --topic $name --partitions 6 --replication-factor 1 > /dev/null
(trap 'exit 0' TERM; i=0; while :; do echo "record $i"; i=$((i + 1)); sleep 0.01; done) > >(kcat -b "$bootstrap" -P -t $name -X linger.ms=10) & load=$!
declare -a pids
consumer 0 classic; consumer 1 classic
expect 2 Classic "two of the classic protocol"
replace 0 consumer
expect 2 Consumer "one of each"
replace 1 consumer
expect 2 Consumer "two of the consumer protocol"
replace 0 classic
expect 2 Consumer "one of each again"
replace 1 classic
expect 2 Classic "two of the classic protocol again"
kill $load; wait $load 2> /dev/null || true
sleep 1
total=$(kcat -q -b "$bootstrap" -C -t $name -e -o beginning 2> /dev/null | tee "$work/in" | wc -l)
for _ in $(seq 60); do
  # The consumers write their warnings there, too.
  grep -aho 'record [0-9]*' "$work"/out-? | sort > "$work/lines"
  sort -u "$work/lines" > "$work/out"
  if sort -u "$work/in" | cmp -s - "$work/out"; then
    echo "ok $total records delivered, $(($(wc -l < "$work/lines") - total)) of them twice: $((SECONDS - began)) s"
    exit 0
  fi
  sleep 0.5
done
echo "$(wc -l < "$work/out") of $total records were delivered:"; sort -u "$work/in" | comm -3 - "$work/out" | head -5
exit 1
