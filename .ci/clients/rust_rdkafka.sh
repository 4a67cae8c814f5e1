#!/usr/bin/env bash
# The integration tests that rust-rdkafka's own crate carries, over the librdkafka that it brings. The broker is to have
# num.partitions=3, as theirs has. Usage: rust_rdkafka.sh HOST:PORT
set -euo pipefail
version=0.39.0
build=$PWD/target/ci/rust-rdkafka
here=$build/source
rm -rf "$here" && mkdir -p "$here"
# A package that needs the crate makes Cargo fetch and check it.
cat > "$here/Cargo.toml" <<TOML
[package]
name = "fetch"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
[dependencies]
rdkafka = "=$version"
[workspace]
TOML
touch "$here/lib.rs"
cargo fetch -q --manifest-path "$here/Cargo.toml"
source=$(cargo metadata -q --format-version 1 --manifest-path "$here/Cargo.toml" \
  | python3 -c "import json, os, sys
print(next(os.path.dirname(p['manifest_path']) for p in json.load(sys.stdin)['packages'] if p['name'] == 'rdkafka'))")
cp -r "$source" "$here/rdkafka"
cd "$here/rdkafka"
printf '\n[workspace]\n' >> Cargo.toml
rm -f rust-toolchain.toml
# Not run: test_transactions, which needs an API that is not there yet.
KAFKA_HOST=$1 CARGO_TARGET_DIR=$build CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 timeout 1500 \
  cargo test -q --locked --test test_admin --test test_high_consumers --test test_high_producers --test test_low_consumers \
  --test test_low_producers --test test_metadata --test test_topic_partition_list -- --test-threads 4
