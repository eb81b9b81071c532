#!/usr/bin/env bash
# Runs our node host against an unmodified gateway of the ecosystem, calls it with that gateway's own command
# line, and prints what each step did.
#
#   tools/interop-node.sh
#
# Env: INTEROP_ROOT  where npm clawdbot 2026.1.24-3 is, or is installed to (default: target/interop; 700 MB)
#      CLAWDIA       the program (default: target/release/clawdia, else target/debug/clawdia)
# Exit: 0 every step passed; 1 one failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/install.sh"
. "$here/interop/gateway.sh"

root=${INTEROP_ROOT:-$here/../target/interop}
mkdir -p "$root"
root=$(cd "$root" && pwd)
install_node "$root" 22.20.0 bin
export PATH="$root/bin:$PATH"
install_clawdbot "$root"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
node "$here/interop/node.mjs" "$(clawdia_program)" "$root/claw/node_modules/clawdbot/dist/entry.js" "$dir"
