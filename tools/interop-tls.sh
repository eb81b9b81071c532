#!/usr/bin/env bash
# Runs the ecosystem's unmodified command line and node host over TLS against a gateway of this repository:
# with the right pin, with a wrong one, and with the certificate as an authority of their own.
#
#   tools/interop-tls.sh
#
# Env: as in interop/clients.sh.
# Exit: 0 all as it should be; 1 not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/clients.sh"

bring_client
begin_run
node_pid=
start_gateway "$dir/gateway" "$program" \
  "{ gateway: { auth: { mode: 'token', token: '$token' }, tls: { enabled: true } } }"
state=$dir/gateway/state

ours() { env -i PATH="$PATH" HOME="$dir/gateway/home" CLAWDIA_STATE_DIR="$state" "$program" "$@"; }
field() { node -p "JSON.parse(require('fs').readFileSync(0, 'utf8')).$1"; }
pin=$(ours gateway fingerprint --json | field sha256)
wrong=$(printf 'ab%.0s' $(seq 32))

# theirs FOLDER WORDS...: their program with a state of its own
theirs() { (become_theirs "$@"); }

# In the background, so that $! is the program's own number.
become_theirs() {
  local own=$dir/$1; shift
  mkdir -p "$own"
  exec env -i PATH="$PATH" HOME="$own" CLAWDBOT_STATE_DIR="$own" CLAWDBOT_CONFIG_PATH="$own/clawdbot.json" \
    CLAWDBOT_DISABLE_BONJOUR=1 CLAWDBOT_GATEWAY_TOKEN="$token" NODE_EXTRA_CA_CERTS="${AUTHORITY-}" \
    timeout 90 node "$entry" "$@"
}

# remote FOLDER PIN: a configuration that names our gateway
remote() {
  mkdir -p "$dir/$1"
  cat >"$dir/$1/clawdbot.json" <<END
{ "gateway": { "mode": "remote", "remote": { "url": "wss://127.0.0.1:$GATEWAY_PORT", "token": "$token", "tlsFingerprint": "$2" } } }
END
}

failed=0
# row WHAT EXPECTED(0|1) COMMAND...: whether it ended as it should
row() {
  local what=$1 expected=$2 ended=0; shift 2
  "$@" >"$dir/out" 2>&1 || ended=1
  if [ "$ended" = "$expected" ]; then
    echo "ok      $what"
  else
    echo "FAILED  $what:"; tail -5 "$dir/out"; failed=1
  fi
}

remote right "$pin"
remote colons "$(echo "$pin" | tr a-f A-F | sed 's/../&:/g; s/:$//')"
remote wrong "$wrong"
row 'health with the right pin' 0 theirs right health --json
row 'health with the pin in pairs' 0 theirs colons health --json
row 'health with a wrong pin is refused' 1 theirs wrong health --json
AUTHORITY=$state/gateway-tls.pem row 'health --url wss://, the certificate as its own authority' 0 \
  theirs authority gateway call health --url "wss://localhost:$GATEWAY_PORT" --token "$token"

# connected NAME: whether a node of that name is connected now
connected() {
  ours gateway call node.list --json | node -e "
    const list = JSON.parse(require('fs').readFileSync(0, 'utf8')).nodes ?? [];
    process.exit(list.some((node) => node.displayName === '$1' && node.connected) ? 0 : 1)"
}
run_node() {
  become_theirs "node-$1" node run --host 127.0.0.1 --port "$GATEWAY_PORT" --tls --tls-fingerprint "$2" \
    --display-name "$1" >"$dir/node-$1.out" 2>&1 & node_pid=$!
}
becomes_connected() {
  for _ in $(seq 60); do connected "$1" && return; kill -0 "$node_pid" 2>/dev/null || return 1; sleep 1; done
  return 1
}
run_node pinned "$pin"
row 'node run --tls --tls-fingerprint is connected' 0 becomes_connected pinned
kill "$node_pid" 2>/dev/null || true; wait "$node_pid" 2>/dev/null || true
run_node mistaken "$wrong"
row 'node run with a wrong pin is not' 1 becomes_connected mistaken
kill "$node_pid" 2>/dev/null || true; wait "$node_pid" 2>/dev/null || true
node_pid=
stop_gateway || failed=1
exit $failed
