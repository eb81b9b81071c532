#!/usr/bin/env bash
# Reaches a gateway through OpenSSH's real sshd, between two hosts made of network namespaces, and breaks what
# can break: the server, the network, the client, its parent. Whatever happens the tunnel has to come back on
# the same port, nothing acknowledged is lost, and no process is left over.
#
#   tools/ssh.sh            about two minutes
#   tools/ssh.sh --long     the network is cut for a whole minute
#
# Env: CLAWDIA  the program (default: target/release/clawdia, else target/debug/clawdia)
#      CLIENT   an unmodified `clawdbot`; where it is named, it asks through the tunnel as well
# Needs root for the namespaces; installs openssh-server and iproute2 where they are missing. Prints SKIPPED
# and why, and exits 0, where that cannot be had.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/gateway.sh"
. "$here/ssh/hosts.sh"

cut_s=15
[ "${1-}" != --long ] || cut_s=60
program=$(realpath "$(clawdia_program)")
port=18789
dir=$(mktemp -d)
chmod 755 "$dir"
trap finish EXIT
finish() {
  local status=$?
  set +e
  hosts_down
  kill $(jobs -p) 2>/dev/null
  [ $status = 0 ] || show_logs
  rm -rf "$dir"
  exit $status
}

show_logs() { tail -n 20 "$dir"/*.out "$dir"/*.err "$dir/sshd.log" 2>/dev/null; }
# Every ssh of the near host.
tunnels() { ip netns pids "$near" | while read -r pid; do [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != ssh ] || echo "$pid"; done; }
no_tunnels() { [ -z "$(tunnels)" ]; }

packages_there || exit 0
hosts_up || exit 0
gateway_up $port
target=root@$far_address:2222
key=(--identity "$dir/user_key")
on_near mkdir -p "$dir/near/.clawdia"
printf 'IdentityFile %s\nIdentitiesOnly yes\n' "$dir/user_key" >>"$dir/ssh_config"

say 'plain ssh -N -L by hand'
become_near ssh -N -L $port:127.0.0.1:$port -p 2222 root@$far_address 2>"$dir/hand.err" &
hand=$!
on_far CLAWDIA_STATE_DIR="$dir/far/state" clawdia token >"$dir/token"
by_hand=(clawdia --url ws://127.0.0.1:$port --token-file "$dir/token")
until_true 60 'health through a tunnel made by hand' on_near "${by_hand[@]}" health
on_near "${by_hand[@]}" status --deep >/dev/null
on_near "${by_hand[@]}" gateway call health >/dev/null
on_near "${by_hand[@]}" agent --message 'who is connected?' | grep -q operator || die 'no answer by hand'
if [ -n "${CLIENT-}" ]; then
  printf '{"gateway":{"mode":"remote","remote":{"url":"ws://127.0.0.1:%s","token":"%s"}}}' $port \
    "$(cat "$dir/token")" >"$dir/near/clawdbot.json"
  on_near CLAWDBOT_DISABLE_BONJOUR=1 CLAWDBOT_STATE_DIR="$dir/near/clawdbot" \
    CLAWDBOT_CONFIG_PATH="$dir/near/clawdbot.json" "$CLIENT" health --json \
    >"$dir/clawdbot.out" 2>"$dir/clawdbot.err" || die 'unmodified clawdbot health'
  say 'an unmodified clawdbot asked for health through it'
fi
kill $hand && wait $hand || true

say 'one command through a tunnel of its own'
on_near clawdia --ssh $target health >/dev/null
no_tunnels || die 'a tunnel outlived its command'

say 'refusals: a key that is not let in, a host that is not known'
: >"$dir/empty"
refused() {
  local expected=$1 code=0
  shift
  on_near "$@" >/dev/null 2>"$dir/refused.err" || code=$?
  [ $code = 1 ] && grep -q "$expected" "$dir/refused.err" || { cat "$dir/refused.err"; die "exit $code: $*"; }
}
cp "$dir/ssh_config" "$dir/ssh_config.good"
sed -i "s#user_key#other_key#" "$dir/ssh_config"
refused 'Permission denied' clawdia --ssh $target health
sed -i "s#$dir/other_key#$dir/user_key#; s#$dir/known_hosts#$dir/empty#" "$dir/ssh_config"
refused 'Host key verification failed' clawdia tunnel $target
cp "$dir/ssh_config.good" "$dir/ssh_config"

say 'clawdia remote up'
become_near clawdia remote up $target "${key[@]}" --json >"$dir/up.out" 2>"$dir/up.err" &
until_true 60 'remote up' grep -q '"phase":"up"' "$dir/up.out"
state() { on_near clawdia remote status --json; }
up() { state | grep -q '"ok": true'; }
up || die 'remote status'
local_port=$(state | sed -n 's/.*"localPort": \([0-9]*\).*/\1/p')
[ "$local_port" = $port ] || die "the local port is $local_port"
on_near clawdia remote list
supervisor=$(state | sed -n 's/.*"process": \([0-9]*\).*/\1/p')

say 'a node through the tunnel'
become_near clawdia node run --ssh $target --json >"$dir/node.out" 2>"$dir/node.err" &
node_pid=$!
node_there() { on_near clawdia --ssh $target gateway call node.list | grep -q '"connected": true'; }
until_true 60 'the node is there' node_there

# Sends numbered messages, each until it is acknowledged, whatever breaks meanwhile.
sender() {
  local number=0 sent
  while [ ! -e "$dir/enough" ]; do
    number=$((number + 1))
    sent=0
    until [ $sent = 1 ]; do
      on_near clawdia --ssh $target gateway call chat.send --timeout 5s --params \
        "{\"sessionKey\":\"main\",\"message\":\"number $number.\",\"idempotencyKey\":\"key-$number\"}" \
        >>"$dir/sent.out" 2>>"$dir/sent.err" && sent=1 || sleep 0.5
    done
    echo $number >"$dir/sent"
    sleep 0.5
  done
}
sender &
sender_pid=$!

back() {
  until_true "$1" "back after $2" up
  [ "$(state | sed -n 's/.*"localPort": \([0-9]*\).*/\1/p')" = "$local_port" ] || die "another port after $2"
  [ "$(tunnels | wc -l)" -le 2 ] || die "several tunnels after $2: $(tunnels)"
  until_true 60 "the node is back after $2" node_there
  say "back on port $local_port after $2, $(state | sed -n 's/.*"generation": \([0-9]*\).*/generation \1/p')"
}

say 'sshd and its connections are killed, and a new one started'
sshd_down
until_true 60 'the loss is noticed' grep -q '"phase":"waiting"' "$dir/up.out"
sshd_up
back 120 'a killed sshd'

say "the network is cut for $cut_s s"
ip -n "$far" link set far down
sleep $cut_s
ip -n "$far" link set far up
back 90 'a cut network'

say 'the client is stopped for 15 s'
kill -STOP "$supervisor"
sleep 15
kill -CONT "$supervisor"
back 120 'a stopped client'

say 'ssh itself is stopped'
ssh_pid=$(tunnels | while read -r pid; do [ "$(awk '{print $4}' "/proc/$pid/stat")" != "$supervisor" ] || echo "$pid"; done)
kill -STOP "$ssh_pid"
gone() { [ ! -e "/proc/$ssh_pid" ]; }
until_true 90 'a stopped ssh is replaced' gone
back 120 'a stopped ssh'

say 'the gateway is started again'
gateway_down
gateway_up $port
back 120 'a new gateway'

touch "$dir/enough"
wait $sender_pid
sent=$(cat "$dir/sent")
on_near clawdia --ssh $target gateway call chat.history --params '{"sessionKey":"main","limit":1000}' >"$dir/history.out"
for number in $(seq "$sent"); do
  [ "$(grep -c "\"number $number\\.\"" "$dir/history.out")" = 1 ] || die "message $number is not there exactly once"
done
say "$sent messages were acknowledged meanwhile, each is there exactly once"

say 'words that were spoken here'
kill $node_pid && wait $node_pid || true
on_near clawdia remote down $target >/dev/null
become_near clawdia remote up $target "${key[@]}" --voice 'echo what time is it' --json >"$dir/voice.out" 2>"$dir/voice.err" &
spoken() {
  on_near clawdia --ssh $target gateway call chat.history --params '{"sessionKey":"main","limit":1000}' |
    grep -q 'what time is it'
}
until_true 90 'what was spoken is in the chat' spoken
supervisor=$(state | sed -n 's/.*"process": \([0-9]*\).*/\1/p')

say 'its parent is killed'
kill -9 "$supervisor"
until_true 30 'no ssh is left over' no_tunnels

say 'up again, then down'
become_near clawdia remote up $target "${key[@]}" --json >"$dir/again.out" 2>"$dir/up.err" &
until_true 60 'remote up again' grep -q '"phase":"up"' "$dir/again.out"
grep -q "\"localPort\":$local_port" "$dir/again.out" || die 'another port after a new start'
on_near clawdia remote down $target
until_true 30 'nothing is left over' no_tunnels
say 'all of it holds'
