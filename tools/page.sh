#!/usr/bin/env bash
# Drives the ecosystem's unmodified web page (of npm clawdbot 2026.1.24-3) in Chromium against a gateway of
# this repository, with a node host of ours beside it: connects, chats, stops a run, visits every tab, decides
# about commands and changes what may be executed.
#
#   tools/page.sh [SHOTS]      SHOTS: a folder for pictures (default: target/page)
#
# Env: as in interop/clients.sh and interop/browser.sh.
# Exit: 0 every step passed (or SKIPPED: no browser can be had); 1 a step failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/clients.sh"
. "$here/interop/browser.sh"

shots=${1:-$here/../target/page}
mkdir -p "$shots"
bring_client
bring_browser
begin_run
start_gateway "$dir" "$program" "$(page_config '')"
(umask 077 && echo "$token" >"$dir/token" && mkdir "$dir/node")
env -i PATH="$PATH" HOME="$dir/node" "$program" node run --url "ws://127.0.0.1:$GATEWAY_PORT" \
  --token-file "$dir/token" --display-name lent >"$dir/node.out" 2>&1 &
status=0
STATE=$dir/state NODE_STATE=$dir/node/.clawdia/node timeout 900 \
  node "$here/interop/page.mjs" "http://127.0.0.1:$GATEWAY_PORT" "$token" "$shots" || status=$?
stop_gateway || status=1
exit "$status"
