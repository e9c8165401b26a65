#!/usr/bin/env bash
# Looks for mistakes in the code without running it: formatting, go vet, module
# files of all modules, shell scripts. golangci-lint (.golangci.yml), with
# staticcheck in it, finds more and takes minutes to build: CI runs it in a job of
# its own.
#
#   scripts/lint.sh       what test.sh runs
#   scripts/lint.sh all   golangci-lint too, built once for each version
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
golangci=v2.15.0

# As xcaddy.sh builds: with cgo each package of Caddy would be compiled anew.
export CGO_ENABLED=0
tags=redis,nobadger,nomysql,nopgx

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "not gofmt-ed: $unformatted" >&2; exit 1; }
for module in . bench e2e/go; do
	go -C "$module" mod tidy -diff
done
# go vet reads each package that is imported in a process of its own, which ends sooner if it
# collects little garbage.
GOGC=400 go vet -tags "$tags" ./...
go -C bench vet ./...
go -C bench test -run '^Test(ReadFigures|Quartiles)$' . >/dev/null

if [ "${1-}" = all ]; then
	tools=$PWD/.test/tools
	lint=$tools/golangci-lint-$golangci
	if [ ! -x "$lint" ]; then
		GOBIN=$tools go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$golangci"
		mv "$tools/golangci-lint" "$lint"
	fi
	"$lint" run ./...
fi

if command -v shellcheck >/dev/null; then
	shellcheck ./*.sh scripts/*.sh e2e/run.sh bench/run.sh .ci/run
fi
