#!/usr/bin/env bash
# Count user instructions. Of wire-echo: an echo of 64 bytes with 1 and with 16 under way on each of 64
# connections, an echo that has a turn of the loop to itself, and a delivery of an event with the receiver's
# own number. Of the gateway: `health`, a `node.invoke` with its result, and a connection with a device's
# proof, from accept to end. Each figure is the difference of two runs, so that start and handshakes drop out;
# so is the number of heap allocations beside it.
#
#   instructions.sh [--limits|--goals]
#
#   --limits  exit 1 where a figure is above its limit: what it was when it was last looked into, and 3 %
#   --goals   exit 1 where a figure is above its goal
#
# Needs valgrind (callgrind counts what the processor's own counters cannot in most virtual machines).
# Env: BIN (directory of clawdia and wire-echo; default: builds them with --release), LOAD (of `load`; default: BIN).
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

# Calls of malloc and its kin in what callgrind wrote: a function's name stands behind its number once.
allocations='
  /^cfn=/ { split($0, call, /[=() ]+/); number = call[2]; if (call[3] != "") names[number] = call[3] }
  /^calls=/ && names[number] ~ /^(malloc|calloc|realloc|posix_memalign|aligned_alloc)$/ { split($0, call, /[= ]/); sum += call[2] }
  END { print sum + 0 }'

# counted PORT-PATTERN LOAD... -- SERVER...: all instructions that the server makes while it has that load, and its
# allocations.
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
  "$LOAD/load" --at "$port" "${load[@]}" >/dev/null || { kill "$server"; echo "no figure of: ${load[*]}" >&2; exit 2; }
  kill "$server"; wait "$server" || true
  echo "$(sed -n 's/.*Collected : *//p' "$work/log") $(awk "$allocations" "$work/callgrind")"
}

# total KIND COUNT LOAD-ARGUMENTS...: of wire-echo, or of the gateway where it is asked for something
total() {
  local kind=$1 count=$2; shift 2
  local gateway=(--token-file "$work/.clawdia/gateway-token")
  local asked=('s/.*listening on ws:.*:\([0-9]*\)$/\1/p' "${gateway[@]}")
  local server=(-- "$BIN/clawdia" gateway run --port 0)
  case $kind in
    connect) counted "${asked[@]}" connect --proof --times "$count" "${server[@]}" ;;
    health | node.invoke) counted "${asked[@]}" rpc "$kind" --calls "$count" "${server[@]}" ;;
    events) counted 's/^READY //p' broadcast --numbered "$@" --messages "$count" -- "$BIN/wire-echo" 0 events ;;
    *) counted 's/^READY //p' "$kind" "$@" --messages "$count" -- "$BIN/wire-echo" 0 "$kind" ;;
  esac
}

# figure NAME GOAL LIMIT UNITS-A-MESSAGE FEW MANY KIND LOAD-ARGUMENTS...
figure() {
  local name=$1 goal=$2 limit=$3 units=$4 few=$5 many=$6 kind=$7 less more each most; shift 7
  less=($(total "$kind" "$few" "$@")); more=($(total "$kind" "$many" "$@"))
  units=$(( units * (many - few) ))
  each=$(( (more[0] - less[0]) / units ))
  [ "$goal" != - ] || goal=$limit
  printf '%-44s %6d  (goal %d, limit %d)' "$name" "$each" "$goal" "$limit"
  awk -v n=$(( more[1] - less[1] )) -v units=$units 'BEGIN { printf "  %.2f allocations\n", n / units }'
  most=$limit; [ "$against" != --goals ] || most=$goal
  [ "$each" -lt "$most" ] || over=1
}

figure 'echo 64 B, 64 connections, 1 in flight' 700 684 1 6400 38400 echo
figure 'echo 64 B, 64 connections, 16 in flight' 350 310 1 10240 71680 echo --in-flight 16
figure 'echo 64 B, 1 connection, a turn each' - 1114 1 1000 6000 echo --connections 1
figure 'event 256 B to 1000, a numbered delivery' 150 152 1000 10 60 events --connections 1000 --size 256
figure 'broadcast 256 B to 1000, a delivery' 150 132 1000 10 60 broadcast --connections 1000 --size 256

# What the gateway does once for a new home, node and device is done before it is counted.
for kind in health node.invoke connect; do total $kind 1 >/dev/null; done
figure 'health' - 8730 1 200 2200 health
figure 'node.invoke and its result' - 64160 1 100 1100 node.invoke
figure 'connect with device proof, hello, close' - 834000 1 20 220 connect
[ -z "$against" ] || exit $over
