# Sourced by the scripts that run the ecosystem's own clients: brings them, and makes a folder for the run.
#
# Env: INTEROP_ROOT  where the clients are, or are installed to (default: target/interop; 700 MB each)
#      CLAWDIA       the program (default: target/release/clawdia, else target/debug/clawdia)
#      KEEP          a folder in which what the run wrote is left, logs and all (default: nothing is)

_tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$_tools/install.sh"
. "$_tools/gateway.sh"

# bring_client [NAME]: sets `root`, `entry` (of clawdbot, which is the default, or of openclaw) and the PATH.
bring_client() {
  root=${INTEROP_ROOT:-$_tools/../../target/interop}
  mkdir -p "$root"
  root=$(cd "$root" && pwd)
  case ${1-clawdbot} in
    clawdbot)
      install_node "$root" 22.20.0 bin
      export PATH="$root/bin:$PATH"
      install_clawdbot "$root"
      entry=$root/claw/node_modules/clawdbot/dist/entry.js
      ;;
    openclaw)
      install_node "$root" 24.19.0 bin24
      export PATH="$root/bin24:$PATH"
      install_openclaw "$root"
      entry=$root/open/node_modules/openclaw/openclaw.mjs
      ;;
    *)
      echo "$1: the clients are clawdbot and openclaw" >&2
      exit 2
      ;;
  esac
}

# begin_run: sets `program`, `dir` and `token`; whatever the script started ends with it, and `at_end` is called
# where the script has one.
begin_run() {
  program=$(realpath "$(clawdia_program)")
  if [ -n "${KEEP-}" ]; then
    mkdir -p "$KEEP"
    dir=$(mktemp -d "$(cd "$KEEP" && pwd)/run-XXXXXX")
  else
    dir=$(mktemp -d)
  fi
  token=interop-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
  trap _end_run EXIT
}

_end_run() {
  local status=$? left
  ! declare -F at_end >/dev/null || at_end || status=1
  stop_gateway || status=1
  left=$(jobs -p)
  [ -z "$left" ] || kill $left 2>/dev/null || true
  wait
  if [ -n "${KEEP-}" ]; then echo "left in $dir"; else rm -rf "$dir"; fi
  exit $status
}
