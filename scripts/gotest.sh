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
# However busy the machine is: under this limit nothing hangs.
status=0
# Those that take longest and mostly wait begin, so that others run beside them: one
# more package at a time than there are processors. Nobody debugs these programs: without what
# a debugger reads they are compiled and linked sooner. scripts/lint.sh has vetted them: here it
# would be done again, and for all that is imported, because it is compiled for the race detector.
go test -race -count=1 -vet=off -gcflags=all=-dwarf=false -ldflags='-s -w' -p $(($(nproc) + 1)) -timeout 60m -json ./integration/... ./sessionstate/filestore ./sessionstate/redisstore ./... | CGO_ENABLED=0 go run ./internal/testreport -counts "$counts" || status=$?
read -r passed failed skipped <"$counts" || { passed=0 failed=1 skipped=0; }
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
