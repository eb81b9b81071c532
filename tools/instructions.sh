#!/usr/bin/env bash
# Count the user instructions of wire-echo: an echo of 64 bytes with 1 and with 16 under way on each of
# 64 connections, an echo that has a turn of the loop to itself, and a delivery of an event with the
# receiver's own number. Each figure is the difference of two runs, so that start and handshakes drop out.
#
#   instructions.sh [--limits|--goals]
#
#   --limits  exit 1 where a figure is above its limit: what it was when it was last looked into, and 3 %
#   --goals   exit 1 where a figure is above its goal
#
# Needs valgrind (callgrind counts what the processor's own counters cannot in most virtual machines).
# Env: BIN (directory of wire-echo and ws-load; default: builds them with --release).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v valgrind >/dev/null || { echo 'SKIPPED: needs valgrind'; exit 0; }
against=${1-} over=0
if [ -z "${BIN-}" ]; then
  cargo build --quiet --release -p clawdia-tools
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# total MODE LOAD-ARGUMENTS...: all instructions of one run
total() {
  local mode=$1 server; shift
  : >"$work/ready"
  valgrind --tool=callgrind --callgrind-out-file="$work/callgrind" --log-file="$work/log" \
    "$BIN/wire-echo" 0 "$mode" >"$work/ready" & server=$!
  for _ in $(seq 200); do grep -q READY "$work/ready" && break; sleep 0.1; done
  "$BIN/ws-load" "$mode" "$(sed -n 's/^READY //p' "$work/ready")" "$@" >/dev/null || { kill "$server"; exit 2; }
  kill "$server"; wait "$server" || true
  sed -n 's/.*Collected : *//p' "$work/log"
}

# figure NAME GOAL LIMIT UNITS-A-MESSAGE FEW MANY MODE LOAD-ARGUMENTS...
figure() {
  local name=$1 goal=$2 limit=$3 units=$4 few=$5 many=$6 mode=$7 less more each most; shift 7
  less=$(total "$mode" "$@" --messages "$few"); more=$(total "$mode" "$@" --messages "$many")
  each=$(( (more - less) / (units * (many - few)) ))
  printf '%-44s %5d  (goal %d, limit %d)\n' "$name" "$each" "$goal" "$limit"
  most=$limit; [ "$against" != --goals ] || most=$goal
  [ "$each" -lt "$most" ] || over=1
}

figure 'echo 64 B, 64 connections, 1 in flight' 700 790 1 6400 38400 echo
figure 'echo 64 B, 64 connections, 16 in flight' 350 392 1 10240 71680 echo --in-flight 16
figure 'echo 64 B, 1 connection, a turn each' 1000 1131 1 1000 6000 echo --connections 1
figure 'event 256 B to 1000, a numbered delivery' 150 172 1000 10 60 events --connections 1000 --size 256
figure 'broadcast 256 B to 1000, a delivery' 150 140 1000 10 60 broadcast --connections 1000 --size 256
[ -z "$against" ] || exit $over
