#!/usr/bin/env bash
# Drives the ecosystem's unmodified web page (of npm clawdbot 2026.1.24-3) in Chromium against a gateway of
# this repository: connects, chats, stops a run and visits every tab.
#
#   tools/page.sh [SHOTS]      SHOTS: a folder for pictures (default: target/page)
#
# Env: INTEROP_ROOT  where the clients are, or are installed to (default: target/interop; 700 MB)
#      CLAWDIA       the program (default: target/release/clawdia, else target/debug/clawdia)
#      CHROMIUM      the browser (default: /usr/bin/chromium, installed as Debian's package where root may do so)
# Exit: 0 every step passed (or SKIPPED: no browser can be had); 1 a step failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/install.sh"
. "$here/interop/gateway.sh"

chromium=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$chromium" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  { apt-get update -q && apt-get install -qy --no-install-recommends chromium; } >/dev/null 2>&1 || true
fi
[ -x "$chromium" ] || { echo "SKIPPED: no browser at $chromium (set CHROMIUM)"; exit 0; }

root=${INTEROP_ROOT:-$here/../target/interop}
shots=${1:-$here/../target/page}
mkdir -p "$root" "$shots"
root=$(cd "$root" && pwd)
install_node "$root" 22.20.0 bin
export PATH="$root/bin:$PATH"
install_clawdbot "$root"
install_browser "$root"

dir=$(mktemp -d)
trap 'stop_gateway || true; rm -rf "$dir"' EXIT
token=interop-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
start_gateway "$dir" "$(clawdia_program)" "{
  gateway: {
    auth: { mode: 'token', token: '$token' },
    controlUi: { root: '$root/claw/node_modules/clawdbot/dist/control-ui' },
  },
}"
status=0
BROWSER_ROOT=$root/page node "$here/interop/page.mjs" "$GATEWAY_PORT" "$token" \
  "$dir/state/clawdia.json" "$shots" || status=$?
stop_gateway || status=1
exit "$status"
