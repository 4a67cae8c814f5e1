#!/usr/bin/env bash
# The regression gate on a broker whose Produce was made about 10 % slower, and copies each batch once more, in a
# temporary clone: exit code 3, and both are named.
#   gate_planted.sh FOLDER     with what cargo leaves in target/release; FOLDER takes the clone and its build
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$PWD/target/release; out=$(realpath -m "$1")/gate-planted
cargo build --release --locked -q -p ringlog-server -p ringlog-loadgen -p ringlog-bench
cargo build --release --locked -q -p ringlog-server --example requests
rm -rf "$out"; mkdir -p "$out"
trap 'rm -rf "$out/clone"' EXIT
git clone -q --no-hardlinks . "$out/clone"
python3 - "$out/clone/server/src/handlers/produce.rs" <<'PLANT'
import sys
path = sys.argv[1]
text = open(path).read()
place = "    let bytes = data.records.as_ref().map_or(&[][..], Records::bytes);\n"
assert text.count(place) == 1, "the place in the handler of Produce is gone: name another one here"
slow = "    for step in 0..900 {\n        std::hint::black_box(step);\n    }\n"
copy = "    std::hint::black_box(bytes.to_vec());\n"
open(path, "w").write(text.replace(place, place + slow + copy))
PLANT
build=(cargo build --release --locked -q --manifest-path "$out/clone/Cargo.toml" --target-dir "$out/target" -p ringlog-server)
"${build[@]}"
"${build[@]}" --example requests
code=0
"$bin/ringlog-bench" gate --base "$bin/ringlog" --ringlog-bin "$out/target/release/ringlog" --loadgen-bin "$bin/ringlog-loadgen" \
  --pairs 0 --quiet --out "$out/result" || code=$?
[ "$code" = 3 ] || { echo "exit code $code instead of 3"; exit 1; }
for finding in "produce-1r sync: instructions" "produce-16k page-cache: bytes copied"; do
  grep -q "Regression.*$finding" "$out/result/gate.md" || { echo "not found: $finding"; exit 1; }
done
