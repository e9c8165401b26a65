#!/usr/bin/env bash
# Looks for mistakes in the code without running it: formatting, go vet,
# golangci-lint (.golangci.yml), module files of all modules, shell scripts.
# golangci-lint is built from the Go module proxy, once for each version.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=v2.15.0

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || { echo "not gofmt-ed: $unformatted" >&2; exit 1; }
for module in . bench e2e/go; do
	go -C "$module" mod tidy -diff
done
go -C bench vet ./...
go -C bench test -run '^Test(ReadFigures|Quartiles)$' . >/dev/null

tools=$PWD/.test/tools
lint=$tools/golangci-lint-$version
if [ ! -x "$lint" ]; then
	GOBIN=$tools go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$version"
	mv "$tools/golangci-lint" "$lint"
fi
"$lint" run ./...

if command -v shellcheck >/dev/null; then
	shellcheck ./*.sh scripts/*.sh e2e/run.sh bench/run.sh .ci/run
fi
