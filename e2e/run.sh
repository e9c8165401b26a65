#!/usr/bin/env bash
# Runs the SDKs against the proxy, installing first what this machine lacks.
# The last line is "N passed, N failed".
#
#   ./run.sh               everything
#   ./run.sh 'JS v3, xhr'  the scenarios whose names match a pattern
#
# Two files of scenarios for each processor run at once, because the SDKs mostly wait,
# or as many as E2E_CONCURRENCY says; of the scenarios with web pages, which are one file,
# as many run at once. E2E_TABLES=failed leaves out the tables of scenarios that pass.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

missing=()
command -v curl >/dev/null || missing+=(curl)
# Debian's redis-tools has the server under another name, and starts no service.
{ command -v redis-server || [ -x /usr/bin/redis-check-rdb ]; } >/dev/null || missing+=(redis-tools)
{ command -v node && command -v npm; } >/dev/null || missing+=(nodejs npm)
# The shell is Chromium without windows, and takes half of the time. A Chromium does as well.
browser=
if ! command -v chromium-headless-shell >/dev/null; then
	browser=chromium-headless-shell
	command -v chromium >/dev/null || missing+=(fonts-dejavu-core)
fi
sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
get() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; }
if [ ${#missing[@]} -gt 0 ]; then
	command -v apt-get >/dev/null || { echo "e2e: ${missing[*]}: not installed, and there is no apt-get to install them with" >&2; exit 1; }
	$sudo apt-get update -qq
	get "${missing[@]}"
fi
if [ -n "$browser" ]; then
	if apt-cache show "$browser" >/dev/null 2>&1 && get "$browser"; then
		:
	elif ! command -v chromium >/dev/null; then
		get chromium || { echo "e2e: chromium is not installed, and cannot be" >&2; exit 1; }
	fi
fi

# npm writes this file when it is done: it is as new as what is installed.
install() {
	[ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] ||
		PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund
}
# Playwright refuses anything older than Node.js 20, and Debian 12 has 18.
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
	install node
	PATH=$(echo "$PWD"/node/node_modules/node-linux-*/bin):$PATH
	node --version >/dev/null || { echo "e2e: Node.js 20 or newer is needed: https://nodejs.org/" >&2; exit 1; }
fi
install .
STORES=redis OUTPUT=out/caddy-redis ../xcaddy.sh list-modules | grep -F -e rudder_session.stores.redis
../xcaddy.sh list-modules | grep -F -e rudder_session

export E2E_CONCURRENCY="${E2E_CONCURRENCY:-$(($(nproc) * 2))}"
args=(--test --test-concurrency="$E2E_CONCURRENCY" --test-reporter=./lib/reporter.js --test-reporter-destination=stdout)
[ $# -eq 0 ] || args+=(--test-name-pattern="$1")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
node "${args[@]}" tests/*.test.js | tee "$log" || status=$?
case $(tail -n 1 "$log") in
*" passed, "*" failed") ;;
*) echo "0 passed, 1 failed"; exit 1 ;;
esac
# A pattern that matches nothing is a mistake.
! tail -n 1 "$log" | grep -q '^0 passed' || status=1
exit "$status"
