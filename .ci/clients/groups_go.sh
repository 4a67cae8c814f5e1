#!/usr/bin/env bash
# Consumer groups with franz-go (eager, cooperative, KIP-848) and sarama, see groups_members.py.
# Usage: groups_go.sh HOST:PORT [CLIENT...]
set -euo pipefail
command -v go > /dev/null || { echo "there is no Go"; exit 77; }
bootstrap=$1; shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
(cd "$here/groups-go" && GOFLAGS=-mod=readonly go build -o "$work/member" .)
[ $# -gt 0 ] || set -- franz-go-eager franz-go-cooperative franz-go-consumer sarama
for client; do "$here/groups_members.py" "$bootstrap" "$client" "$work/member" "$client"; done
