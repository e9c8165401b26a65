#!/usr/bin/env bash
# Runs all Go tests with the race detector, and reports them: see
# internal/testreport. The numbers of those that passed, failed and were skipped
# go to the file that is given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
# Tests with random histories draw the same ones each time, so that a change passes or
# fails by what it changes. A job of each night draws others (.github/workflows/nightly.yml).
export RAPID_SEED="${RAPID_SEED:-1}"
# By default a process with the race detector waits a second before it ends.
export GORACE="${GORACE:-atexit_sleep_ms=50}"
flags=(
	-race -count=1 -json
	# However busy the machine is: under this limit nothing hangs.
	-timeout 60m
	# Nobody debugs these programs: without symbols they are linked sooner.
	-ldflags='-s -w'
	# scripts/lint.sh has vetted them. Here it would be done again, and for all that is imported,
	# because that is compiled for the race detector.
	-vet=off
	# GOGC is for the compiler alone: see xcaddy.sh.
	-exec 'env -u GOGC'
	# Packages that take longest and mostly wait begin, so that others run beside them: one more
	# at a time than there are processors.
	-p $(($(nproc) + 1))
)
packages=(./integration/... ./sessionstate/filestore ./sessionstate/redisstore ./...)
status=0
GOGC=400 go test "${flags[@]}" "${packages[@]}" |
	CGO_ENABLED=0 go run ./internal/testreport -counts "$counts" || status=$?
read -r passed failed skipped <"$counts" || { passed=0 failed=1 skipped=0; }
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
