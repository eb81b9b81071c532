# Sourced: two hosts made of network namespaces, the far one with OpenSSH's sshd and a gateway.
#
# Nothing of the system's own configuration is read or written: keys, known hosts and both configurations are
# made for the run. The near host's `ssh` is a script that names the configuration to the real one.

near=clawdia-near-$$
far=clawdia-far-$$
far_address=10.213.7.2

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
die() { say "FAILED: $*"; exit 1; }

# until_true SECONDS WHAT COMMAND …: polls.
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || die "not in time: $what"
    sleep 0.1
  done
}

on_near() { (become_near "$@"); }
on_far() { (become_far "$@"); }

# In the background, so that $! is the program's own number.
become_near() { exec ip netns exec "$near" env -i "PATH=$dir/near/bin:$PATH" "HOME=$dir/near" "$@"; }
become_far() { exec ip netns exec "$far" env -i "PATH=$dir/far/bin:$PATH" "HOME=$dir/far" "$@"; }

# packages_there: installs what is missing by name, and says why where it cannot be had.
packages_there() {
  local missing=()
  command -v ip >/dev/null || missing+=(iproute2)
  command -v ssh >/dev/null || missing+=(openssh-client)
  [ -x /usr/sbin/sshd ] || missing+=(openssh-server)
  [ ${#missing[@]} = 0 ] && return 0
  command -v apt-get >/dev/null || { echo "SKIPPED: no apt-get to install ${missing[*]} with"; return 1; }
  { apt-get install -y "${missing[@]}" || { apt-get update && apt-get install -y "${missing[@]}"; }; } \
    >"$dir/apt.log" 2>&1 || { tail -n 5 "$dir/apt.log"; echo "SKIPPED: ${missing[*]} cannot be installed"; return 1; }
}

hosts_up() {
  [ "$(id -u)" = 0 ] || { echo 'SKIPPED: network namespaces need root'; return 1; }
  ip netns add "$near" 2>"$dir/netns.log" && ip netns add "$far" 2>>"$dir/netns.log" ||
    { cat "$dir/netns.log"; echo 'SKIPPED: network namespaces cannot be made here'; return 1; }
  ip -n "$near" link add near type veth peer name far netns "$far"
  ip -n "$near" address add 10.213.7.1/24 dev near
  ip -n "$far" address add "$far_address/24" dev far
  ip -n "$near" link set lo up && ip -n "$near" link set near up
  ip -n "$far" link set lo up && ip -n "$far" link set far up

  mkdir -p "$dir/near/bin" "$dir/far/bin" "$dir/far/state"
  chmod 700 "$dir/far/state"
  ln -s "$program" "$dir/far/bin/clawdia"
  ln -s "$program" "$dir/near/bin/clawdia"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/user_key"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/other_key"
  cp "$dir/user_key.pub" "$dir/authorized_keys"
  printf '[%s]:2222 %s\n' "$far_address" "$(cut -d' ' -f1,2 "$dir/host_key.pub")" >"$dir/known_hosts"
  cat >"$dir/sshd_config" <<CONFIG
Port 2222
ListenAddress $far_address
HostKey $dir/host_key
AuthorizedKeysFile $dir/authorized_keys
PidFile $dir/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv PATH=$dir/far/bin:$PATH HOME=$dir/far CLAWDIA_STATE_DIR=$dir/far/state
CONFIG
  cat >"$dir/ssh_config" <<CONFIG
UserKnownHostsFile $dir/known_hosts
GlobalKnownHostsFile /dev/null
CONFIG
  printf '#!/bin/sh\nexec %s -F %s "$@"\n' "$(command -v ssh)" "$dir/ssh_config" >"$dir/near/bin/ssh"
  chmod +x "$dir/near/bin/ssh"
  sshd_up
}

sshd_up() {
  # Where sshd's unprivileged part is locked in; on a machine without the service nobody made it.
  mkdir -p /run/sshd
  on_far /usr/sbin/sshd -f "$dir/sshd_config" -E "$dir/sshd.log"
  until_true 60 'sshd listens' test -s "$dir/sshd.pid"
}

# The listening process and those of its connections, all children of it.
sshd_down() {
  local pid
  pid=$(cat "$dir/sshd.pid" 2>/dev/null) || return 0
  kill $(descendants "$pid") "$pid" 2>/dev/null || true
  rm -f "$dir/sshd.pid"
}

descendants() {
  local child
  for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
    descendants "$child"
    echo "$child"
  done
}

gateway_up() {
  become_far CLAWDIA_STATE_DIR="$dir/far/state" clawdia gateway run --port "$1" >"$dir/gateway.out" 2>&1 &
  gateway_pid=$!
  until_true 60 'the gateway listens' grep -q listening "$dir/gateway.out"
}

gateway_down() {
  [ -z "${gateway_pid-}" ] || { kill "$gateway_pid" && wait "$gateway_pid"; } || true
  gateway_pid=
}

hosts_down() {
  gateway_down
  sshd_down
  ip netns del "$near" 2>/dev/null || true
  ip netns del "$far" 2>/dev/null || true
}
