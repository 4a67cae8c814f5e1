# Sourced by .ci/run: runs steps and counts them. A step that exits with 77 could not run here and has said why.
passed=0
not_run=0
failures=()

step() { # step NAME COMMAND [ARGUMENT...]
  local name=$1 code=0 began=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@" < /dev/null || code=$?
  case $code in
    0) passed=$((passed + 1)); printf -- '-- passed: %s (%d s)\n' "$name" $((SECONDS - began)) ;;
    77) not_run=$((not_run + 1)); printf -- '-- NOT RUN: %s\n' "$name" ;;
    *) failures+=("$name"); printf -- '-- FAILED: %s (exit code %d, %d s)\n' "$name" "$code" $((SECONDS - began)) ;;
  esac
}

summary() { # says what failed and how many steps there were; the last line has the form that test runners have
  printf '\n'
  for name in "${failures[@]}"; do printf 'FAILED: %s\n' "$name"; done
  printf '%d passed, %d failed, %d skipped\n' "$passed" "${#failures[@]}" "$not_run"
  [ "${#failures[@]}" = 0 ]
}
