#!/usr/bin/env bash
# Lets systemd itself check the units that we write, installing its checker where it is missing.
#
# Env: CLAWDIA  the program (default: target/release/clawdia, else target/debug/clawdia)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/gateway.sh"

if ! command -v systemd-analyze >/dev/null; then
  { apt-get update -qq && apt-get install -y -qq systemd; } >/dev/null 2>&1 || true
  command -v systemd-analyze >/dev/null || { echo 'SKIPPED: no systemd-analyze can be had'; exit 0; }
fi
program=$(clawdia_program)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# Without systemctl in its path the program prints the unit.
printf 'secret\n' >"$dir/token"
for profile in default work; do
  name=clawdia-node-$profile.service
  env -i PATH=/nonexistent HOME="$dir" CLAWDIA_STATE_DIR="$dir/a b" \
    "$program" --profile "$profile" node install --host gateway.example.org --token-file "$dir/token" >"$dir/$name"
  XDG_RUNTIME_DIR=$dir systemd-analyze --user verify "$dir/$name"
  if grep -q secret "$dir/$name"; then
    echo "$name: the secret is in it" >&2
    exit 1
  fi
  echo "$name: systemd finds no fault"
done
