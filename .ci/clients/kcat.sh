#!/usr/bin/env bash
# kcat (Debian's librdkafka 2.0.2): every codec, keys, headers, empty and large values come back as they went in.
# Usage: kcat.sh HOST:PORT
set -euo pipefail
bootstrap=$1
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
kc() { timeout 60 kcat -b "$bootstrap" "$@"; }

seq 1 20000 | sed 's/^/key&:value-&-abcdefghijklmnopqrstuvwxyz/' > "$work/in"
for codec in none gzip snappy lz4 zstd; do
  topic="kcat-$codec-$$"
  kc -P -t "$topic" -K: -z "$codec" -X acks=all < "$work/in"
  kc -C -q -e -t "$topic" -o beginning -K: > "$work/out"
  sort "$work/in" > "$work/a"; sort "$work/out" > "$work/b"
  cmp "$work/a" "$work/b"
  echo "ok kcat $codec: $(wc -l < "$work/out") records"
done

echo "with header" | kc -P -t kcat-headers-$$ -H h1=v1 -H h2=v2 -k the-key
[ "$(kc -C -q -e -t kcat-headers-$$ -o beginning -f '%k|%h|%s\n')" = "the-key|h1=v1,h2=v2|with header" ]
echo "ok kcat headers"

head -c 675000 /dev/urandom | base64 -w0 > "$work/large"
kc -P -t kcat-large-$$ "$work/large"
kc -C -q -e -t kcat-large-$$ -o beginning -f %s > "$work/large.out"
cmp "$work/large" "$work/large.out"
echo "ok kcat large"

# A consumer that waits at the end gets what is produced later.
echo first | kc -P -t kcat-tail-$$
kc -C -q -c 1 -t kcat-tail-$$ -o end > "$work/tail" 2> /dev/null & consumer=$!
for _ in $(seq 1 30); do echo tail-record | kc -P -t kcat-tail-$$; kill -0 $consumer 2> /dev/null || break; sleep 0.2; done
wait $consumer
[ "$(cat "$work/tail")" = tail-record ]
echo "ok kcat tail"

# Partitions that a group has given to its only member.
kc -q -X auto.offset.reset=earliest -c 20000 -G "kcat-group-$$" "kcat-none-$$" -K: > "$work/group" 2> /dev/null
sort "$work/group" | cmp "$work/a" -
echo "ok kcat -G"
kc -L -J | python3 -c 'import json,sys; d=json.load(sys.stdin); assert any(t["topic"].startswith("kcat-none") for t in d["topics"]), d'
echo "ok kcat metadata"
