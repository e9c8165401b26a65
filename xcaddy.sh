#!/usr/bin/env bash
# Builds ./caddy with the rudder_session module in it: with xcaddy where it is
# installed, else with Go alone. What is given after it is handed to ./caddy.
#
#   ./xcaddy.sh                        build
#   ./xcaddy.sh run                    build, and run Caddyfile.example
#   ./xcaddy.sh run --config FILE      build, and run another configuration
#   ./xcaddy.sh list-modules           build, and any other command of Caddy
#
# STORES has the stores to build in besides the default one:
#
#   STORES=redis ./xcaddy.sh
#
# OUTPUT has the file to build instead of ./caddy.
set -euo pipefail
module=github.com/rudder-session/rudder-session
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
caddy=${OUTPUT:-$here/caddy}
[[ $caddy = /* ]] || caddy=$PWD/$caddy
mkdir -p "$(dirname "$caddy")"

if ! command -v go >/dev/null && [ -x /usr/local/go/bin/go ]; then
	PATH=$PATH:/usr/local/go/bin
fi
# The compiler reads a package and ends: a fifth sooner if it collects little garbage, with 350 MB
# at most, and a tenth without what a debugger reads, which is not in the program.
quick=(env "GOGC=${GOGC:-400}" "GOFLAGS=${GOFLAGS-} -gcflags=all=-dwarf=false")
# shellcheck disable=SC2206 # the names are words
stores=(${STORES-}) with=(--with "$module=$here")
for store in "${stores[@]}"; do
	[ -d "$here/caddymodule/stores/$store" ] || { echo "STORES: there is no store $store" >&2; exit 1; }
	with+=(--with "$module/caddymodule/stores/$store")
done
if command -v xcaddy >/dev/null; then
	version=$(cd "$here" && go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)
	"${quick[@]}" xcaddy build "$version" --output "$caddy" "${with[@]}"
else
	# The tags are those of xcaddy, with which Caddy's own builds are made too: they leave out
	# databases that Caddy's local certificate authority does not use.
	tags="nobadger nomysql nopgx ${stores[*]}"
	(cd "$here" && "${quick[@]}" CGO_ENABLED=0 go build -trimpath -tags "$tags" -ldflags '-s -w' -o "$caddy" ./cmd/caddy)
fi

case "${1-}" in
"") "$caddy" version ;;
run)
	shift
	if [ $# -eq 0 ]; then
		set -- --config "$here/Caddyfile.example" --adapter caddyfile
	fi
	exec "$caddy" run "$@"
	;;
*) exec "$caddy" "$@" ;;
esac
