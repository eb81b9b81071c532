#!/usr/bin/env bash
# Compares our wire layer with the floor of this machine and with servers on other libraries, in one run:
# microseconds of the server's processor time a message, and multiples of the floor.
#
#   tools/compare.sh [compare's options, such as --rounds 10 --row broadcast --json --goals]
#
# The others are tools/peers (fastwebsockets, tokio-tungstenite) and npm ws; without npm, ws is left out.
# Env: BIN (directory of our programs; default: builds them with --release).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -z "${BIN-}" ]; then
  cargo build --quiet --release -p clawdia-tools
  BIN=${CARGO_TARGET_DIR:-target}/release
fi
peers=${CARGO_TARGET_DIR:-target}/peers
# The floor and the others are built for speed, without what makes our program small.
fast() { RUSTFLAGS='-C debuginfo=0' CARGO_PROFILE_RELEASE_OPT_LEVEL=3 cargo build --quiet --release --target-dir "$peers" "$@"; }
fast --manifest-path tools/peers/Cargo.toml
fast -p clawdia-tools --bin wire-floor
others=(fastwebsockets="$peers/release/peer-fastwebsockets" tungstenite="$peers/release/peer-tungstenite")
if command -v npm >/dev/null; then
  mkdir -p "$peers/ws"
  cp tools/peers/{package.json,ws.mjs} "$peers/ws"
  (cd "$peers/ws" && npm install --ignore-scripts --no-audit --no-fund --silent)
  others+=(ws="node $peers/ws/ws.mjs")
fi
"$BIN/compare" "$@" floor="$peers/release/wire-floor" clawdia="$BIN/wire-echo" "${others[@]}"
