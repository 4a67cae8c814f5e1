#!/usr/bin/env bash
# Groups at scale, against any broker on this machine: time, the broker's CPU and memory. See groups/main.go.
# Usage: groups.sh HOST:PORT BROKER_PID [GROUPS MEMBERS REBALANCES]
set -euo pipefail
command -v go > /dev/null || { echo "there is no Go"; exit 77; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
# A connection for each group.
ulimit -n "$(ulimit -Hn)"
(cd "$(dirname "$0")/groups" && GOFLAGS=-mod=readonly go build -o "$work/groups" .)
"$work/groups" "$1" "$2" "${3:-10000}" "${4:-2000}" "${5:-1000}"
