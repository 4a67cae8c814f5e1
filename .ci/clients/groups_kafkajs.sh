#!/usr/bin/env bash
# Consumer groups with kafkajs (npm), see groups_members.py. Usage: groups_kafkajs.sh HOST:PORT
set -euo pipefail
command -v npm > /dev/null || { echo "there is no npm"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cp "$here"/kafkajs/* "$work"
(cd "$work" && npm ci --silent --no-audit --no-fund --ignore-scripts)
"$here/groups_members.py" "$1" kafkajs node "$work/member.js"
