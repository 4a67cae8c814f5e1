#!/usr/bin/env bash
# kafkajs (npm) produces and kcat reads the same bytes back; members of a group join and leave. Usage: kafkajs.sh HOST:PORT
set -euo pipefail
command -v npm > /dev/null || { echo "there is no npm"; exit 77; }
bootstrap=$1
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cp "$(dirname "$0")"/kafkajs/* "$work"
(cd "$work" && npm ci --silent --no-audit --no-fund --ignore-scripts)
topic=kafkajs-$$
timeout 120 node "$work/produce.js" "$bootstrap" "$topic" > "$work/sent"
timeout 60 kcat -b "$bootstrap" -C -q -e -t "$topic" -o beginning -f '%p|%o|%k|%s\n' > "$work/got"
cmp <(sort "$work/sent") <(sort "$work/got")
echo "ok kafkajs: $(wc -l < "$work/got") records"
timeout 180 node "$work/groups.js" "$bootstrap"
echo "ok kafkajs groups"
