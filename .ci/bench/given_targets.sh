#!/usr/bin/env bash
# The harness beside what it did not bring itself: a broker that runs already (HOST:PORT), with Ringlog beside it and
# alone, and an unpacked Kafka (KAFKA_HOME), for which neither the cache nor Maven is asked.
#   given_targets.sh HOST:PORT FOLDER     with what cargo leaves in target/release; FOLDER takes data and results
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$PWD/target/release; bench=$bin/ringlog-bench; address=$1; out=$(realpath -m "$2")/given-targets
command -v java > /dev/null || { echo "no Java here"; exit 77; }
rm -rf "$out"; mkdir -p "$out/home/libs" "$out/empty"

smoke() { # smoke NAME TARGETS: each run on each target gives figures
  "$bench" run bench/scenarios/smoke.toml --targets "$2" --ringlog-bin "$bin/ringlog" --loadgen-bin "$bin/ringlog-loadgen" \
    --set jvm_warmup_seconds=2 --data "$out" --out "$out/$1" --quiet
  python3 - "$out/$1"/*/summary.json "$2" <<'LOOK'
import json, sys
results, targets = json.load(open(sys.argv[1])), sys.argv[2].split(",")
assert not results["missing"], results["missing"]
for target in targets:
    runs = [run for run in results["runs"] if run["target"] == target]
    failed = [(run["cell"], run["class"], run["failed"]) for run in runs if run.get("failed")]
    cells = {run["cell"] for run in runs}
    assert not failed and cells == {cell["name"] for cell in results["scenario"]["cell"]}, (target, failed, cells)
    assert all(run["values"].get("p99_us", 0) > 0 for run in runs), (target, runs)
    print(f"{target}: {len(runs)} runs with figures")
LOOK
}

smoke beside "ringlog,$address"
smoke alone "$address"
for topic in produce-16k fetch e2e; do
  if "$bin/ringlog" topic list -b "$address" | grep "$topic-"; then echo "left on the broker"; exit 1; fi
done
if "$bench" run smoke --targets 127.0.0.1:1 --ringlog-bin "$bin/ringlog" --loadgen-bin "$bin/ringlog-loadgen" --data "$out" \
  --out "$out/dead" --quiet > "$out/dead.log" 2>&1; then echo "an address where nobody answers is no error"; exit 1; fi
grep -q "127.0.0.1:1" "$out/dead.log" || { cat "$out/dead.log"; echo "it does not say which address does not answer"; exit 1; }

cp "$("$bench" kafka path)"/*.jar "$out/home/libs"
export XDG_CACHE_HOME=$out/empty KAFKA_HOME=$out/home
[ "$("$bench" kafka path)" = "$out/home/libs" ] || { echo "KAFKA_HOME is not where it looks"; exit 1; }
smoke kafka ringlog,kafka
[ -z "$(ls "$out/empty")" ] || { echo "the cache was written to"; exit 1; }
code=0; KAFKA_HOME=$out/empty "$bench" kafka path > "$out/none.log" 2>&1 || code=$?
{ [ "$code" != 0 ] && grep -q "KAFKA_HOME: .* holds no jars" "$out/none.log"; } || { cat "$out/none.log"; echo "an empty KAFKA_HOME: exit code $code"; exit 1; }
