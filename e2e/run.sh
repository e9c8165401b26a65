#!/usr/bin/env bash
# Runs the SDKs against the proxy, installing first what this machine lacks.
# The last line is "N passed, N failed".
#
#   ./run.sh               everything
#   ./run.sh 'JS v3, xhr'  the scenarios whose names match a pattern
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if ! command -v chromium >/dev/null; then
	sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
	$sudo apt-get update -qq
	$sudo apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
fi
# npm writes this file when it is done: it is as new as what is installed.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
	PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --ignore-scripts --no-audit --no-fund
fi
../xcaddy.sh list-modules | grep -F -e rudder_session

args=(--test --test-concurrency=1 --test-reporter=./lib/reporter.js --test-reporter-destination=stdout)
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
