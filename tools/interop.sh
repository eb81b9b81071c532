#!/usr/bin/env bash
# Runs the ecosystem's unmodified command line against a gateway of this repository, and prints what each
# command did and what proves that our gateway answered it.
#
#   tools/interop.sh [WORD]      only the rows whose command holds WORD
#
# Env: CLIENT        clawdbot (npm 2026.1.24-3, protocol 3; default) or openclaw (npm 2026.9.6, protocol 4)
#      INTEROP_ROOT  where the clients are, or are installed to (default: target/interop; 700 MB each)
#      CLAWDIA       the program (default: target/release/clawdia, else target/debug/clawdia)
# Exit: 0 every row passed; 1 a row failed, or a served method has no parameters in tools/interop/calls.mjs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/install.sh"
. "$here/interop/gateway.sh"

root=${INTEROP_ROOT:-$here/../target/interop}
mkdir -p "$root"
root=$(cd "$root" && pwd)
client=${CLIENT:-clawdbot}
case $client in
  clawdbot)
    install_node "$root" 22.20.0 bin
    export PATH="$root/bin:$PATH"
    install_clawdbot "$root"
    entry=$root/claw/node_modules/clawdbot/dist/entry.js
    ;;
  openclaw)
    install_node "$root" 24.19.0 bin24
    export PATH="$root/bin24:$PATH"
    install_openclaw "$root"
    entry=$root/open/node_modules/openclaw/openclaw.mjs
    ;;
  *)
    echo "CLIENT=$client: it is clawdbot or openclaw" >&2
    exit 2
    ;;
esac

dir=$(mktemp -d)
trap 'stop_gateway || true; rm -rf "$dir"' EXIT
token=interop-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
start_gateway "$dir/gateway" "$(clawdia_program)" \
  "{ gateway: { auth: { mode: 'token', token: '$token' } }, logging: { level: 'debug' } }"
status=0
node "$here/interop/run.mjs" "$GATEWAY_PORT" "$token" "$client" "$entry" "$dir" "${1-}" || status=$?
stop_gateway || status=1
exit "$status"
