# Sourced by .ci/run: one broker of the release build at a time, on a free port, in a folder of its own.
# Sets $bootstrap and $data.
broker_pid=
work=$(mktemp -d)

broker_clean_up() {
  [ -z "$broker_pid" ] || kill -9 "$broker_pid" 2> /dev/null
  rm -rf "$work"
}
trap broker_clean_up EXIT

# Index entries this small make segments of a few KiB that take batches of any size.
small_segments=(--override log.index.interval.bytes=1024 --override log.index.size.max.bytes=48)
large_messages=(--override message.max.bytes=4000000)

broker_start() { # broker_start CLASS [OPTION...]
  local class=$1
  shift
  data=$(mktemp -d -p "$work")/data
  target/release/ringlog --override listeners=PLAINTEXT://127.0.0.1:0 --override "log.dirs=$data" \
    --override "ringlog.durability=$class" "$@" \
    > "$work/banner" 2> "$work/broker.log" &
  broker_pid=$!
  for _ in $(seq 200); do
    bootstrap=$(sed -n 's/^ready: kcat -b \([^ ]*\) .*/\1/p' "$work/banner")
    [ -z "$bootstrap" ] || { cat "$work/banner"; return 0; }
    kill -0 "$broker_pid" 2> /dev/null || break
    sleep 0.05
  done
  cat "$work/broker.log"
  return 1
}

broker_stop() { # SIGTERM; the broker drains, syncs and exits with 0
  local code=0
  kill "$broker_pid"
  wait "$broker_pid" || code=$?
  broker_pid=
  [ "$code" = 0 ] || { echo "the broker ended with $code"; tail -20 "$work/broker.log"; return 1; }
  if grep -E 'ERROR|panicked' "$work/broker.log"; then return 1; fi
}
