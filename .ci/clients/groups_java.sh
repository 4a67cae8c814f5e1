#!/usr/bin/env bash
# Consumer groups with Kafka's own consumer (eager, cooperative-sticky, KIP-848), see groups_members.py.
# Usage: groups_java.sh HOST:PORT JARS_DIR [CLIENT...]
set -euo pipefail
command -v javac > /dev/null || { echo "there is no JDK"; exit 77; }
bootstrap=$1 jars=$2; shift 2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
javac -cp "$jars/*" -d "$work" "$here/groups-java/Member.java"
[ $# -gt 0 ] || set -- java-eager java-cooperative java-consumer
member=(java -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -cp "$work:$jars/*" Member)
for client; do "$here/groups_members.py" "$bootstrap" "$client" "${member[@]}" "$client"; done
