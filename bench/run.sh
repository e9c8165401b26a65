#!/usr/bin/env bash
# Builds the parts of the benchmark, and runs it. Arguments are those of the
# benchmark: -h lists them.
#
#   bench/run.sh                  all rows; half an hour
#   bench/run.sh -quick           each row for a moment: does it run at all?
#   bench/run.sh -rows cpu        some rows
#   bench/run.sh -before CADDY    next to an earlier build, too
#
# Everything is put into bench/.parts. Debian's packages of nginx are unpacked
# there and not installed, so that no service starts, and none that there is
# changes. Where there is no apt-get, an nginx with its Lua module in the places
# where Debian has them is taken if there is one; else its rows are left out.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
parts=$here/.parts
mkdir -p "$parts"

if ! command -v go >/dev/null && [ -x /usr/local/go/bin/go ]; then
	PATH=$PATH:/usr/local/go/bin
fi
command -v go >/dev/null || { echo "Go is needed: https://go.dev/dl/" >&2; exit 1; }

STORES=redis "$here/../xcaddy.sh"
cp "$here/../caddy" "$parts/caddy"

if command -v apt-get >/dev/null; then
	missing=()
	command -v redis-server >/dev/null || [ -x /usr/bin/redis-check-rdb ] || missing+=(redis-tools)
	sudo=$([ "$(id -u)" -eq 0 ] || echo sudo)
	if [ ${#missing[@]} -gt 0 ]; then
		$sudo apt-get update -qq
		$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
	fi
	if [ ! -x "$parts/debian/usr/sbin/nginx" ] && [ ! -e /usr/lib/nginx/modules/ngx_http_lua_module.so ]; then
		# --reinstall: an nginx that is installed, without the module, is unpacked too.
		wanted() { apt-get install -s --reinstall --no-install-recommends nginx libnginx-mod-http-lua lua-cjson | awk '/^Inst/ {print $2}'; }
		[ -n "$(wanted 2>/dev/null)" ] || $sudo apt-get update -qq
		packages=$(mktemp -d)
		trap 'rm -rf "$packages"' EXIT
		chmod 755 "$packages"
		# shellcheck disable=SC2046 # the names are words
		(cd "$packages" && apt-get download -qq $(wanted))
		mkdir "$packages/root"
		for package in "$packages"/*.deb; do
			dpkg -x "$package" "$packages/root"
		done
		rm -rf "$parts/debian"
		mv "$packages/root" "$parts/debian"
	fi
fi

cd "$here"
go build -o "$parts/bench" .
exec "$parts/bench" -root "$here/.." "$@"
