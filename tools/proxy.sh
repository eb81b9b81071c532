#!/usr/bin/env bash
# Behind a real nginx, with and without gateway.trustedProxies: who is local, whose address counts,
# and what a made-up header changes (nothing).
#
#   tools/proxy.sh [PROGRAM]      PROGRAM is target/ci/clawdia without one
#
# Installs nginx by name where it is missing and can be had; else says SKIPPED.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=$(realpath "${1:-target/ci/clawdia}")

if ! command -v nginx >/dev/null; then
  apt-get install -y --no-install-recommends nginx-light >/dev/null 2>&1 ||
    { echo "SKIPPED: nginx is not here and cannot be installed"; exit 0; }
fi
address=$(ip -4 -o address show scope global 2>/dev/null | awk '{split($4, a, "/"); print a[1]; exit}')
[ -n "$address" ] || { echo "SKIPPED: this machine has no address but loopback"; exit 0; }

work=$(mktemp -d)
gateway_pid= nginx_pid=
finish() {
  [ -z "$nginx_pid" ] || kill "$nginx_pid" 2>/dev/null || true
  [ -z "$gateway_pid" ] || kill "$gateway_pid" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

fail() { echo "FAILED: $*" >&2; exit 1; }
clawdia() { env -i HOME="$home" PATH="$PATH" "$program" "$@"; }

# Starts a gateway with a configuration and nginx in front of it.
start() {
  home=$work/$1
  mkdir -p "$home/.clawdia" "$home/nginx"
  echo "$2" >"$home/.clawdia/clawdia.json"
  chmod 700 "$home/.clawdia"; chmod 600 "$home/.clawdia/clawdia.json"
  env -i HOME="$home" "$program" gateway run --port 0 >"$home/out" 2>"$home/err" &
  gateway_pid=$!
  local port= tries=0
  until port=$(sed -n 's/.*listening on ws:.*:\([0-9]*\)$/\1/p' "$home/out") && [ -n "$port" ]; do
    tries=$((tries + 1)); [ $tries -lt 1200 ] || fail "the gateway does not start: $(cat "$home/err")"
    sleep 0.05
  done
  # nginx cannot take a free port by itself.
  for _ in 1 2 3 4 5; do
    front=$((20000 + RANDOM % 10000))
    cat >"$home/nginx/nginx.conf" <<CONF
pid $home/nginx/pid;
error_log $home/nginx/error.log;
daemon off;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path $home/nginx/body; proxy_temp_path $home/nginx/proxy;
  fastcgi_temp_path $home/nginx/a; uwsgi_temp_path $home/nginx/b; scgi_temp_path $home/nginx/c;
  server {
    listen $address:$front;
    location / {
      proxy_pass http://127.0.0.1:$port;
      proxy_http_version 1.1;
      proxy_set_header Upgrade \$http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header Host \$http_host;
      proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto \$scheme;
    }
  }
}
CONF
    nginx -p "$home/nginx" -c "$home/nginx/nginx.conf" 2>"$home/nginx/start" &
    nginx_pid=$!
    tries=0
    while kill -0 "$nginx_pid" 2>/dev/null && [ $tries -lt 600 ]; do
      if (exec 3<>"/dev/tcp/$address/$front") 2>/dev/null; then break 2; fi
      tries=$((tries + 1)); sleep 0.05
    done
  done
  kill -0 "$nginx_pid" 2>/dev/null || fail "nginx does not start: $(cat "$home/nginx/start")"
  clawdia token >"$home/token"; chmod 600 "$home/token"
}

stop() {
  kill "$nginx_pid"; wait "$nginx_pid" 2>/dev/null || true; nginx_pid=
  kill "$gateway_pid"; wait "$gateway_pid" || fail "the gateway ended with $?"; gateway_pid=
}

# The status of a request through nginx with more header fields.
status() { curl -s -o /dev/null -w '%{http_code}' "$@" "http://$address:$front/health"; }

# A command through nginx, as a device of its own.
through() { CLIENT=$1; shift
  env -i HOME="$work/client-$CLIENT" PATH="$PATH" "$program" --url "ws://$address:$front" --insecure "$@"; }

check() { # $1: case, $2: the address that the gateway has to see
  through "$1" --token-file "$home/token" health >"$work/said" 2>&1 &&
    fail "$1: a client behind the proxy was taken for local"
  grep -q "not paired" "$work/said" || fail "$1: $(cat "$work/said")"
  clawdia devices list --json >"$work/devices"
  grep -q "\"remoteIp\": \"$2\"" "$work/devices" || fail "$1: not seen as $2: $(cat "$work/devices")"
  # A page that is ours, by the name that the client used, may come in; another may not.
  for origin in "http://$address:$front 101" "https://evil.example 403" "null 403"; do
    set -- "$1" "$2" $origin
    local got
    got=$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 -H "Origin: $3" -H 'Upgrade: websocket' \
      -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' \
      "http://$address:$front/" || true)
    [ "$got" = "$4" ] || fail "$1: Origin $3 was answered $got, not $4"
  done
  clawdia devices approve --latest >/dev/null
  through "$1" --token-file "$home/token" health >/dev/null || fail "$1: approved and not let in"
}

start untrusted '{}'
check untrusted 127.0.0.1
[ "$(status -H 'X-Forwarded-For: 127.0.0.1')" = 200 ] || fail "a header that nobody believes did something"
stop

start trusted '{ gateway: { trustedProxies: ["127.0.0.1"] } }'
check trusted "$address"
[ "$(status -H 'X-Forwarded-For: 127.0.0.1')" = 200 ] || fail "nginx appends, and only the last hop counts"
# Ten wrong guesses lock that address and nobody on this machine.
echo wrong-token-of-a-guesser >"$work/wrong"; chmod 600 "$work/wrong"
for _ in $(seq 10); do through guesser --token-file "$work/wrong" health >/dev/null 2>&1 || true; done
through guesser --token-file "$home/token" health >"$work/said" 2>&1 || true
grep -q "too many attempts" "$work/said" || fail "guesses behind the proxy were not counted: $(cat "$work/said")"
clawdia health >/dev/null || fail "the lock-out reached this machine"
stop
echo "behind nginx: untrusted and trusted, as they should be"
