#!/usr/bin/env bash
# Runs our node host against an unmodified gateway of the ecosystem, calls it with that gateway's own command
# line, and prints what each step did.
#
#   tools/interop-node.sh
#
# Env: as in interop/clients.sh.
# Exit: 0 every step passed; 1 one failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/clients.sh"

bring_client
begin_run
node "$here/interop/node.mjs" "$program" "$entry" "$dir"
