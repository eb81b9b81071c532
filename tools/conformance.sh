#!/usr/bin/env bash
# Run the Autobahn conformance suite against wire-echo and compare with what is expected.
#
#   conformance.sh [--tls] [--update]
#
#   --tls      the same over TLS: what is expected does not change
#   --update   write what was found into tests/conformance/expected.json
#
# Cases 12 and 13 are left out: compression is never agreed on.
# Exit: 0 as expected, at most 4 NON-STRICT (or SKIPPED: no CPython 2.7); 1 not as expected; 2 could not run.
# Env: PROFILE (cargo profile, default dev), and those of run-autobahn.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scheme=ws tls=()
if [ "${1-}" = --tls ]; then scheme=wss; shift; fi
expected=tests/conformance/expected.json out=${OUT:-target/conformance-$scheme} profile=${PROFILE:-dev} update=${1-}
[ $scheme = ws ] || tls=(--tls "$out/certificate.pem")

if ! tools/run-autobahn.sh --has-python; then
  echo 'SKIPPED: the suite needs CPython 2.7 (set PYTHON27)'
  exit 0
fi
cargo build --quiet --profile "$profile" -p clawdia-tools --bin wire-echo
dir=$profile; [ "$dir" != dev ] || dir=debug
mkdir -p "$out"
"${CARGO_TARGET_DIR:-target}/$dir/wire-echo" 0 echo "${tls[@]}" >"$out/ready" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
for _ in $(seq 100); do grep -q READY "$out/ready" && break; sleep 0.1; done
port=$(sed -n 's/^READY //p' "$out/ready")
[ -n "$port" ] || { echo 'conformance: the server did not start' >&2; exit 2; }

rc=0
tools/run-autobahn.sh --cases '-12.*,-13.*' --agent wire-echo "$scheme://127.0.0.1:$port" "$out" || rc=$?
[ $rc != 2 ] || exit 2

python3 - "$out/index.json" "$expected" "$update" <<'PY'
import json, pathlib, sys
found, expected, update = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
cases = next(iter(json.loads(found.read_text()).values()))
number = lambda case: [int(part) for part in case.split('.')]
now = {case: [cases[case]['behavior'], cases[case]['behaviorClose']] for case in sorted(cases, key=number)}
if update == '--update':
    expected.parent.mkdir(parents=True, exist_ok=True)
    lines = ',\n'.join(f'  {json.dumps(case)}: {json.dumps(result)}' for case, result in now.items())
    expected.write_text('{\n' + lines + '\n}\n')
before = json.loads(expected.read_text())
differs = [case for case in sorted(set(now) | set(before), key=number) if now.get(case) != before.get(case)]
for case in differs:
    print(f'case {case}: {now.get(case)}, expected {before.get(case)}')
count = lambda word: sum(word in result for result in now.values())
print(f'{len(now)} cases, {count("FAILED")} FAILED, {count("NON-STRICT")} NON-STRICT, {len(differs)} not as expected')
sys.exit(bool(differs) or count('FAILED') > 0 or count('NON-STRICT') > 4)
PY
