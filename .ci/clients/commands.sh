#!/usr/bin/env bash
# Ringlog's own commands and kcat read what the other wrote. Usage: commands.sh RINGLOG_BINARY HOST:PORT
# The broker may be Apache Kafka too.
set -euo pipefail
ringlog=$1 bootstrap=$2
export RINGLOG_BOOTSTRAP=$bootstrap
topic=commands-$$
expect() { [ "$1" = "$2" ] || { printf 'expected:\n%s\nfound:\n%s\n' "$2" "$1"; exit 1; }; }

"$ringlog" topic create "$topic" --partitions 2 --config retention.ms=600000 > /dev/null
for codec in none gzip snappy lz4 zstd; do
  printf '%s\n' "$codec:1" "other-$codec:2" | "$ringlog" produce "$topic" -k : -H "codec=$codec" -z "$codec" > /dev/null
done
written=$(for codec in none gzip snappy lz4 zstd; do printf '%s\n' "$codec=1 codec=$codec" "other-$codec=2 codec=$codec"; done | sort)
expect "$(kcat -b "$bootstrap" -t "$topic" -C -e -q -f '%k=%s %h\n' | sort)" "$written"
expect "$("$ringlog" consume "$topic" -e -f '%k=%v %h\n' | sort)" "$written"

for codec in none gzip snappy lz4; do
  echo "k:from kcat, $codec" | kcat -b "$bootstrap" -t "$topic" -P -K : -z "$codec" -p 0
done
expect "$("$ringlog" consume "$topic" -p 0 -o -4 -e -f '%k=%v\n')" "$(printf 'k=from kcat, %s\n' none gzip snappy lz4)"

places=$("$ringlog" consume "$topic" -e -f '%p %o\n' | sort)
expect "$places" "$(kcat -b "$bootstrap" -t "$topic" -C -e -q -f '%p %o\n' | sort)"
# Java's partitioner: kcat has it under this name.
for key in a b c d e f; do echo "$key:x"; done | "$ringlog" produce "$topic" -k : > /dev/null
ours=$("$ringlog" consume "$topic" -o start -e -f '%v %k %p\n' | grep '^x' | sort)
for key in a b c d e f; do echo "$key:y"; done | kcat -b "$bootstrap" -t "$topic" -P -K : -X partitioner=murmur2
expect "$("$ringlog" consume "$topic" -e -f '%v %k %p\n' | grep '^y' | sed 's/^y/x/' | sort)" "$ours"

"$ringlog" topic alter "$topic" --partitions 3 --config segment.bytes=1048576 --unset retention.ms > /dev/null
"$ringlog" topic describe "$topic" | grep -q "segment.bytes=1048576"
"$ringlog" topic describe "$topic" --format json | python3 -c 'import json, sys; assert len(json.load(sys.stdin)[0]["partitions"]) == 3'
"$ringlog" topic list | grep -q "^$topic .*3 "
"$ringlog" topic delete "$topic" > /dev/null
echo "ringlog's commands and kcat agree"
