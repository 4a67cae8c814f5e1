#!/usr/bin/env bash
set -euo pipefail
export RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0
cargo test -q -p ringlog-core --release --locked --test loom_ring
