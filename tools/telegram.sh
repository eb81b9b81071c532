#!/usr/bin/env bash
# From a message to its answer: an emulator of Telegram's Bot API (npm telegram-test-api), the gateway, an agent
# whose scripted model asks for a node, and a node that runs the command. Then again with kill -9 of the
# gateway at every step, and at random, with answers that come whole and with answers that are shown as drafts.
# No message may be answered twice, and none be without an answer unless it is reported as unknown.
#
#   tools/telegram.sh [--kills N]      N: kills at random after those at every step (default: 20)
#
# Env: CLAWDIA        the program (default: target/release/clawdia, else target/debug/clawdia)
#      TELEGRAM_ROOT  where the emulator is, or is installed to (default: target/telegram; 20 MB)
# Exit: 0 it holds (or SKIPPED: the emulator cannot be had); 1 it does not.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/install.sh"
. "$here/interop/gateway.sh"

kills=20
[ "${1-}" != --kills ] || kills=$2
root=${TELEGRAM_ROOT:-$here/../target/telegram}
mkdir -p "$root"
root=$(cd "$root" && pwd)
command -v node >/dev/null || { install_node "$root" 22.20.0 bin && export PATH="$root/bin:$PATH"; }
if [ ! -d "$root/node_modules/telegram-test-api" ]; then
  npm install --prefix "$root" --no-audit --no-fund --silent telegram-test-api@4.2.1 ||
    { echo 'SKIPPED: npm telegram-test-api cannot be installed'; exit 0; }
fi
exec node "$here/telegram/flow.mjs" "$(clawdia_program)" "$root" "$kills"
