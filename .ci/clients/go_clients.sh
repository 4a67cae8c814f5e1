#!/usr/bin/env bash
# sarama and segmentio's kafka-go produce, read, list offsets; kafka-go in a group. Usage: go_clients.sh HOST:PORT
set -euo pipefail
command -v go > /dev/null || { echo "there is no Go"; exit 77; }
cd "$(dirname "$0")/go"
export GOFLAGS=-mod=readonly
timeout 300 go run . "$1"
