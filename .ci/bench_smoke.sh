#!/usr/bin/env bash
# The benchmark harness end to end on a debug build, in seconds and without Java: shows that it works, not how fast.
# Not the gate: counting needs release builds and minutes (docs/gate.md).
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
cargo build --locked -q -p ringlog-server -p ringlog-loadgen -p ringlog-bench
bin=${CARGO_TARGET_DIR:-target}/debug
"$bin/ringlog-bench" run smoke --ringlog-bin "$bin/ringlog" --loadgen-bin "$bin/ringlog-loadgen" --out "$out"
result=$(echo "$out"/*-smoke-*)
rm "$result/summary.md" "$result/report.html"
"$bin/ringlog-bench" report "$result" > "$out/report"
"$bin/ringlog-bench" compare "$result" "$result" > "$out/compare"
grep -q "16 KiB batches" "$out/report" || { echo "report shows no table"; exit 1; }
grep -q "produce-16k (sync) on ringlog" "$out/compare" || { echo "compare shows no table"; exit 1; }
for file in summary.json summary.md report.html README.md raw; do [ -s "$result/$file" ] || { echo "no $file in the result"; exit 1; }; done
if grep -rlF -e "$PWD" -e "$HOME/" -e "$out" "$result"; then echo "the files above name a path of this machine"; exit 1; fi
