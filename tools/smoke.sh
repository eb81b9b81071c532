#!/usr/bin/env bash
# Tries a program that was built, as whoever unpacks it would: a gateway, its health, an answer of its agent, its end.
#
#   tools/smoke.sh [RUNNER] PROGRAM     RUNNER: what a program of another processor needs, as qemu-aarch64
set -euo pipefail

clawdia() { timeout 60 "${command[@]}" "$@"; }
command=("$@")
dir=$(mktemp -d)
export HOME=$dir
unset "${!CLAWDIA_@}"

# Who does not heed SIGTERM within the time that a supervisor gives is killed, which is a failure too.
timeout -k 30 300 "${command[@]}" gateway run --port 0 >"$dir/log" 2>&1 &
gateway=$!
trap 'kill $gateway 2>/dev/null || true; rm -rf "$dir"' EXIT
fail() { echo "smoke: $*" >&2; tail -20 "$dir/log" >&2; exit 1; }

for _ in {1..100}; do
  ! clawdia health --json >"$dir/health" 2>>"$dir/log" || break
  kill -0 $gateway 2>/dev/null || fail "the gateway has ended"
  sleep 0.1
done
grep -q '"ok": *true' "$dir/health" || fail "health says '$(cat "$dir/health")'"

answer=$(clawdia agent --message hi 2>>"$dir/log") || fail "agent has failed"
[[ $answer = *"agent of this gateway"* ]] || fail "the agent says '$answer'"

# Left alone it gives back the pages of its program, and goes on all the same.
sleep 1
clawdia health >/dev/null 2>>"$dir/log" || fail "no health after a rest"

kill -TERM $gateway
code=0
wait $gateway || code=$?
[ $code = 0 ] || fail "the gateway ended with $code"
