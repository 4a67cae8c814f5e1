#!/usr/bin/env bash
# The integration tests that rust-rdkafka's own crate carries, over the librdkafka that it brings. The broker is to have
# num.partitions=3 and node.id=0, as theirs has, and message.max.bytes by default. Usage: rust_rdkafka.sh HOST:PORT
set -euo pipefail
version=0.39.0
build=$PWD/target/ci/rust-rdkafka
here=$build/source
. "$(dirname "$0")/crate.sh"
crate_source rdkafka "$version" "$here"
cd "$here/rdkafka"
# Not run: test_transactions, which needs an API that is not there yet; what talks to port 9092 whatever KAFKA_HOST says; a
# test whose records must not be acked within 100 ms, to a topic that is made for them; and one that is wrong when
# librdkafka's thread starts a fetch later than the test sets its callback: 2 of 18 runs, three at a time, on Apache Kafka 4.3.1.
not_run=(test_metadata test_future_producer_send test_future_producer_send_fail test_base_producer_timeout
  test_produce_consume_message_queue_nonempty_callback)
skips=()
for name in "${not_run[@]}"; do skips+=(--skip "$name"); done
echo "not run: test_transactions ${not_run[*]}"
KAFKA_HOST=$1 CARGO_TARGET_DIR=$build CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 timeout 1500 \
  cargo test -q --locked --test test_admin --test test_high_consumers --test test_high_producers --test test_low_consumers \
  --test test_low_producers --test test_metadata --test test_topic_partition_list -- --test-threads 4 --exact "${skips[@]}"
