# Sourced by page.sh and page-remote.sh: a browser, and the ecosystem's page in it.
#
# Env: CHROMIUM  the browser (default: /usr/bin/chromium, installed as Debian's package where root may do so)

# bring_browser: ends the script with SKIPPED where there is none to be had; follows bring_client.
bring_browser() {
  export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
  if [ ! -x "$CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -q && apt-get install -qy --no-install-recommends chromium; } >/dev/null 2>&1 || true
  fi
  [ -x "$CHROMIUM" ] || { echo "SKIPPED: no browser at $CHROMIUM (set CHROMIUM)"; exit 0; }
  install_browser "$root"
  export BROWSER_ROOT=$root/page
}

# page_config MORE: the configuration of a gateway that serves the page.
page_config() {
  echo "{ gateway: { auth: { mode: 'token', token: '$token' }, $1
    controlUi: { root: '$root/claw/node_modules/clawdbot/dist/control-ui' } } }"
}
