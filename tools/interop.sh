#!/usr/bin/env bash
# Runs the ecosystem's unmodified command line against a gateway of this repository, and prints what each
# command did and what proves that our gateway answered it.
#
#   tools/interop.sh [WORD]      only the rows whose command holds WORD
#
# Env: CLIENT  clawdbot (npm 2026.1.24-3, protocol 3; default) or openclaw (npm 2026.9.6, protocol 4);
#      and those of interop/clients.sh
# Exit: 0 every row passed; 1 a row failed, or a served method has no parameters in tools/interop/calls.mjs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/clients.sh"

client=${CLIENT:-clawdbot}
bring_client "$client"
begin_run
start_gateway "$dir/gateway" "$program" \
  "{ gateway: { auth: { mode: 'token', token: '$token' } }, logging: { level: 'debug' } }"
status=0
node "$here/interop/run.mjs" "$GATEWAY_PORT" "$token" "$client" "$entry" "$dir" "${1-}" || status=$?
stop_gateway || status=1
exit "$status"
