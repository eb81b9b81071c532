#!/usr/bin/env bash
# Pairs node hosts that come from elsewhere, through a proxy that the gateway trusts: the ecosystem's unmodified
# one and ours. Each asks, is let in with `clawdia devices approve`, and is then called by `clawdia nodes` and by
# the unmodified command line. Prints what each step did.
#
#   tools/interop-nodes.sh
#
# Env: as in interop/clients.sh.
# Exit: 0 every step passed; 1 one failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/clients.sh"

bring_client
begin_run
start_gateway "$dir/gateway" "$program" \
  "{ gateway: { auth: { mode: 'token', token: '$token' }, trustedProxies: ['127.0.0.1'] }, logging: { level: 'debug' } }"
node "$here/interop/nodes.mjs" "$GATEWAY_PORT" "$token" "$program" "$entry" "$dir"
