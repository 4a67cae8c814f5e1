#!/usr/bin/env bash
# franz-go (Go module). Usage: franz_go.sh HOST:PORT
set -euo pipefail
command -v go > /dev/null || { echo "there is no Go"; exit 77; }
cd "$(dirname "$0")/franz-go"
export GOFLAGS=-mod=readonly
timeout 300 go run . "$1"
