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
export GOFLAGS="${GOFLAGS-} -trimpath -tags=nobadger,nomysql,nopgx -gcflags=all=-dwarf=false"

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
		download() { apt-get download -qq -o APT::Sandbox::User=root prometheus; }
		(cd "$package" && { download || { $sudo apt-get update -qq && download; }; })
		dpkg -x "$package"/prometheus_*.deb .test/prometheus
		rm -r "$package"
	fi
	PATH=$PWD/.test/prometheus/usr/bin:$PATH
fi

if [ $# -gt 0 ]; then
	exec go test -race "$@"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/failures"
passed=0 failed=0 skipped=0

# Runs a stage: says what it is, and how long it took. What it prints is printed
# if it fails, and else its lines that begin with the words $3. Its last line may
# say how many tests passed, failed and were skipped; else it is no test, and
# counts if it fails. What hangs is ended after the time $2: many times what a
# stage takes on a machine that does nothing else.
stage() {
	local name=$1 limit=$2 words=$3 started=$SECONDS ended=0 told
	shift 3
	printf '== %s\n' "$name"
	timeout --kill-after=30s "$limit" "$@" >"$work/log" 2>&1 || ended=$?
	told=$(tail -n 1 "$work/log")
	if [[ $told =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
		passed=$((passed + BASH_REMATCH[1])) skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
		local failures=${BASH_REMATCH[2]}
		[ "$ended" -eq 0 ] || [ "$failures" -gt 0 ] || failures=1
		failed=$((failed + failures))
	elif [ "$ended" -ne 0 ] || [ "$words" != none ]; then
		ended=$((ended ? ended : 1)) failed=$((failed + 1))
	fi
	if [ "$ended" -eq 0 ]; then
		grep -E "^($words) " "$work/log" || true
		printf '   %s took %d s\n' "$name" $((SECONDS - started))
		return
	fi
	cat "$work/log"
	{ grep -E '^FAIL(ED)? ' "$work/log" || true; } | tail -n 20 | awk '!seen[$0]++' >>"$work/failures"
	[ "$ended" -ne 124 ] || printf 'FAIL  %s: it was ended after %s\n' "$name" "$limit" >>"$work/failures"
	printf 'FAIL  %s, after %d s\n' "$name" $((SECONDS - started)) | tee -a "$work/failures"
}

stage 'build ./caddy' 60m none ./xcaddy.sh
stage 'lint' 60m none scripts/lint.sh
stage 'run ./caddy' 10m none scripts/smoke.sh
stage 'Go tests' 120m 'ok|slow' scripts/gotest.sh
stage 'SDKs end to end' 120m 'slow' env E2E_TABLES=failed e2e/run.sh

printf '\nall of it took %d s\n' "$SECONDS"
if [ "$failed" -gt 0 ]; then
	tail -n 25 "$work/failures"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
