#!/usr/bin/env bash
# Count user instructions. Of wire-echo: an echo of 64 bytes with 1 and with 16 under way on each of 64
# connections, an echo that has a turn of the loop to itself, and a delivery of an event with the receiver's
# own number. Of the gateway: `health`, a `node.invoke` with its result, and a connection with a device's
# proof, from accept to end. Each figure is the difference of two runs, so that start and handshakes drop out.
#
#   instructions.sh [--limits|--goals]
#
#   --limits  exit 1 where a figure is above its limit: what it was when it was last looked into, and 3 %
#   --goals   exit 1 where a figure is above its goal
#
# Needs valgrind (callgrind counts what the processor's own counters cannot in most virtual machines).
# Env: BIN (directory of clawdia and wire-echo; default: builds them with --release), LOAD (of gateway-load and
# ws-load; default: BIN).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v valgrind >/dev/null || { echo 'SKIPPED: needs valgrind'; exit 0; }
against=${1-} over=0
if [ -z "${BIN-}" ]; then
  cargo build --quiet --release --workspace
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
LOAD=${LOAD-$BIN}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# counted PORT-PATTERN LOAD... -- SERVER...: all instructions that the server makes while it has that load, whose
# second word will be the port.
counted() {
  local pattern=$1 load=() server port=; shift
  while [ "$1" != -- ]; do load+=("$1"); shift; done; shift
  : >"$work/ready"
  env -i PATH="$PATH" HOME="$work" valgrind --tool=callgrind --callgrind-out-file="$work/callgrind" \
    --log-file="$work/log" "$@" >"$work/ready" & server=$!
  for _ in $(seq 1200); do
    port=$(sed -n "$pattern" "$work/ready"); [ -z "$port" ] || break
    sleep 0.1
  done
  "${load[@]:0:2}" "$port" "${load[@]:2}" >/dev/null || { kill "$server"; echo "no figure of: ${load[*]}" >&2; exit 2; }
  kill "$server"; wait "$server" || true
  sed -n 's/.*Collected : *//p' "$work/log"
}

# total MODE COUNT LOAD-ARGUMENTS...: of wire-echo, or in a mode of gateway-load of the gateway
total() {
  local mode=$1 count=$2; shift 2
  case $mode in
    health | invoke | connect)
      counted 's/.*listening on ws:.*:\([0-9]*\)$/\1/p' "$LOAD/gateway-load" "$mode" "$work/.clawdia/gateway-token" "$count" -- \
        "$BIN/clawdia" gateway run --port 0 ;;
    *)
      counted 's/^READY //p' "$LOAD/ws-load" "$mode" "$@" --messages "$count" -- "$BIN/wire-echo" 0 "$mode" ;;
  esac
}

# figure NAME GOAL LIMIT UNITS-A-MESSAGE FEW MANY MODE LOAD-ARGUMENTS...
figure() {
  local name=$1 goal=$2 limit=$3 units=$4 few=$5 many=$6 mode=$7 less more each most; shift 7
  less=$(total "$mode" "$few" "$@"); more=$(total "$mode" "$many" "$@")
  each=$(( (more - less) / (units * (many - few)) ))
  [ "$goal" != - ] || goal=$limit
  printf '%-44s %6d  (goal %d, limit %d)\n' "$name" "$each" "$goal" "$limit"
  most=$limit; [ "$against" != --goals ] || most=$goal
  [ "$each" -lt "$most" ] || over=1
}

figure 'echo 64 B, 64 connections, 1 in flight' 700 805 1 6400 38400 echo
figure 'echo 64 B, 64 connections, 16 in flight' 350 392 1 10240 71680 echo --in-flight 16
figure 'echo 64 B, 1 connection, a turn each' 1000 1155 1 1000 6000 echo --connections 1
figure 'event 256 B to 1000, a numbered delivery' 150 186 1000 10 60 events --connections 1000 --size 256
figure 'broadcast 256 B to 1000, a delivery' 150 157 1000 10 60 broadcast --connections 1000 --size 256

# What the gateway does once for a new home, node and device is done before it is counted.
for mode in health invoke connect; do total $mode 1 >/dev/null; done
figure 'health' - 6320 1 200 2200 health
figure 'node.invoke and its result' - 47470 1 100 1100 invoke
figure 'connect with device proof, hello, close' - 1366500 1 20 220 connect
[ -z "$against" ] || exit $over
