#!/usr/bin/env bash
# Drives the ecosystem's unmodified web page in Chromium from elsewhere: over wss:// with the gateway's own
# certificate, and through a plain `ssh -N -L` to another host (a network namespace with OpenSSH's sshd). It
# loads, chats, stops a run and loads again.
#
#   tools/page-remote.sh [SHOTS]      SHOTS: a folder for pictures (default: target/page-remote)
#
# Env: as in interop/clients.sh and interop/browser.sh.
# Needs root for the namespaces; without it the way through the tunnel is SKIPPED.
# Exit: 0 every step passed (or SKIPPED: no browser can be had); 1 a step failed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/clients.sh"
. "$here/interop/browser.sh"
. "$here/ssh/hosts.sh"

shots=${1:-$here/../target/page-remote}
mkdir -p "$shots/wss" "$shots/ssh"
bring_client
bring_browser
begin_run
at_end() { hosts_down; }

say 'over wss://'
start_gateway "$dir/wss" "$program" "$(page_config 'tls: { enabled: true },')"
CERTIFICATE=$dir/wss/state/gateway-tls.pem timeout 300 \
  node "$here/interop/page.mjs" "https://127.0.0.1:$GATEWAY_PORT" "$token" "$shots/wss"
stop_gateway

say 'through a tunnel'
packages_there || exit 0
hosts_up || exit 0
(umask 077 && page_config '' >"$dir/far/state/clawdia.json")
gateway_up 18789
printf 'IdentityFile %s\nIdentitiesOnly yes\n' "$dir/user_key" >>"$dir/ssh_config"
become_near ssh -N -L 18789:127.0.0.1:18789 -p 2222 root@$far_address 2>"$dir/tunnel.err" &
until_true 20 'the tunnel listens' on_near bash -c 'exec 3<>/dev/tcp/127.0.0.1/18789'
on_near BROWSER_ROOT="$BROWSER_ROOT" CHROMIUM="$CHROMIUM" timeout 300 \
  node "$here/interop/page.mjs" http://127.0.0.1:18789 "$token" "$shots/ssh"
