#!/usr/bin/env bash
# Runs all checks and tests, then the SDKs end to end (e2e/run.sh), installing
# first what they need and this machine lacks. Arguments go to `go test`
# (default: all packages, and the SDKs). The last line is
# "N passed, N failed, N skipped".
#
#   ./test.sh                    everything
#   ./test.sh -run TestCases .   some tests of one package
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# As xcaddy.sh builds: what is compiled for one is there for the other.
export GOFLAGS="${GOFLAGS-} -trimpath"

if ! command -v go >/dev/null && [ -x /usr/local/go/bin/go ]; then
	PATH=$PATH:/usr/local/go/bin
fi
command -v go >/dev/null || { echo "Go is needed: https://go.dev/dl/" >&2; exit 1; }

# gcc is for the race detector, curl for the lines of the README, shellcheck for
# the scripts, Redis for the store of that name.
missing=()
for tool in gcc curl shellcheck; do
	command -v "$tool" >/dev/null || missing+=("$tool")
done
# Debian's redis-tools has the server under another name, and starts no service.
redis=/usr/bin/redis-check-rdb
command -v redis-server >/dev/null || [ -x "$redis" ] || missing+=(redis-tools)
sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
if [ ${#missing[@]} -gt 0 ]; then
	[ "${missing[*]/gcc/}" = "${missing[*]}" ] || missing+=(libc6-dev)
	$sudo apt-get update -qq
	$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
if ! command -v redis-server >/dev/null; then
	mkdir -p .test/bin
	ln -sf "$redis" .test/bin/redis-server
	PATH=$PWD/.test/bin:$PATH
fi

# Prometheus is for the queries of the dashboard and the alerts. Debian's package
# is unpacked and not installed, so that no service starts.
if ! command -v promtool >/dev/null && command -v apt-get >/dev/null; then
	if [ ! -x .test/prometheus/usr/bin/promtool ]; then
		mkdir -p .test/prometheus
		package=$(mktemp -d)
		chmod 755 "$package"
		(cd "$package" && { apt-get download -qq prometheus || { $sudo apt-get update -qq && apt-get download -qq prometheus; }; })
		dpkg -x "$package"/prometheus_*.deb .test/prometheus
		rm -r "$package"
	fi
	PATH=$PWD/.test/prometheus/usr/bin:$PATH
fi

if [ $# -gt 0 ]; then
	exec go test -race "$@"
fi

scripts/lint.sh
./xcaddy.sh list-modules | grep -F -e rudder_session
scripts/smoke.sh

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
go test -race -count=1 -timeout 15m -v ./... >"$log" 2>&1 || status=$?
grep -E '^(ok|FAIL|panic:|\?)' "$log" || true
count() { grep -cE "^ *--- $1:" "$log" || true; }
passed=$(count PASS) failed=$(count FAIL) skipped=$(count SKIP)
if [ "$status" -ne 0 ]; then
	grep -nE -B 30 -A 30 '^ *--- FAIL|^panic:|DATA RACE' "$log" | grep -vE -- '--- PASS|=== (RUN|PAUSE|CONT)' | tail -n 400 ||
		tail -n 100 "$log" # A package that does not build has no such line.
	[ "$failed" -gt 0 ] || failed=1
fi

e2e=0
SECONDS=0
e2e/run.sh >"$log" 2>&1 || e2e=$?
if [[ $(tail -n 1 "$log") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
	passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
elif [ "$e2e" -eq 0 ]; then
	e2e=1 # It must have said how many.
fi
if [ "$e2e" -eq 0 ]; then
	printf 'ok  \te2e\t%ss\n' "$SECONDS"
else
	status=$e2e
	cat "$log"
	printf 'FAIL\te2e\t%ss\n' "$SECONDS"
	[ "$failed" -gt 0 ] || failed=1
fi
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
