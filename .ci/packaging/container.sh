#!/usr/bin/env bash
# Builds the image of packaging/container/Containerfile and runs it under its seccomp profile: a record goes in and comes out,
# and it stops cleanly. Usage: container.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
engine=
for one in podman docker; do
  # A client without its daemon builds nothing.
  if command -v "$one" > /dev/null && "$one" info > /dev/null 2>&1; then engine=$one; break; fi
done
[ -n "$engine" ] || { echo "neither podman nor docker works here"; exit 77; }
for image in $(sed -n 's/^FROM \([^ ]*\).*/\1/p' packaging/container/Containerfile); do
  "$engine" image inspect "$image" > /dev/null 2>&1 || "$engine" pull --quiet "$image" || { echo "$image cannot be had"; exit 77; }
done

# What is committed: a build's target/ would be sent along.
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
git archive HEAD | tar -x -C "$source"
format=()
[ "$engine" = docker ] || format=(--format docker) # that of OCI has no HEALTHCHECK
# Where a process may not raise its limits, a container may not either.
limits=(--ulimit memlock=-1)
(ulimit -Hl unlimited) 2> /dev/null || limits=(--ulimit host)
"$engine" build --quiet "${format[@]}" --file "$source/packaging/container/Containerfile" --tag ringlog:check "$source"
container=$("$engine" run --detach --security-opt seccomp=packaging/container/seccomp.json "${limits[@]}" ringlog:check)
trap 'rm -rf "$source"; "$engine" rm --force "$container" > /dev/null' EXIT
inside() { "$engine" exec --interactive "$container" ringlog "$@"; }
for _ in $(seq 100); do
  inside topic list > /dev/null 2>&1 && break
  sleep 0.1
done
inside topic create words
echo hello | inside produce words
read=$(inside consume words -e)
[ "$read" = hello ] || { echo "FAILED: what was read is \"$read\""; exit 1; }
"$engine" stop --time 120 "$container" > /dev/null
code=$("$engine" inspect --format '{{.State.ExitCode}}' "$container")
[ "$code" = 0 ] || { echo "FAILED: it stopped with $code"; exit 1; }
echo "ok built, a record in and out, stopped cleanly"
