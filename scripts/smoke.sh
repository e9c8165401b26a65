#!/usr/bin/env bash
# Runs the built ./caddy with Caddyfile.example on free ports, and sends it a
# startSession and an event: the event must come back stamped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
caddy=
trap 'stop; rm -rf "$work"' EXIT
stop() {
	[ -z "$caddy" ] || { kill "$caddy" && wait "$caddy"; } 2>/dev/null || true
	caddy=
}

./caddy list-modules | grep -F -e rudder_session

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# Below the ports that Linux gives to outgoing connections.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 12768))
		listens "$port" || { echo "$port"; return; }
	done
}

# Runs Caddy, and returns whether it takes connections: somebody else may have
# taken a port since.
start() {
	port=$(free_port) echo=$(free_port) admin=$(free_port)
	RUDDER_SESSION_SITE=http://:$port RUDDER_SESSION_ECHO_PORT=$echo CADDY_ADMIN=127.0.0.1:$admin \
		RUDDERSTACK_DATA_PLANE_URL=http://127.0.0.1:$echo XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work \
		./caddy run --config Caddyfile.example --adapter caddyfile >"$work/log" 2>&1 &
	caddy=$!
	until listens "$port" && listens "$echo"; do
		kill -0 "$caddy" 2>/dev/null || return 1
		sleep 0.1
	done
}
for attempt in 1 2 3; do
	start && break
	stop
	[ "$attempt" -lt 3 ] || { echo "Caddy does not start" >&2; cat "$work/log" >&2; exit 1; }
done

call() {
	curl --silent --show-error --fail-with-body --max-time 120 -u WRITE_KEY: -d "$2" "http://127.0.0.1:$port$1"
}
call /v1/startSession '{"anonymousId": "a1", "sessionId": 1234567890}' >/dev/null || { cat "$work/log" >&2; exit 1; }
event=$(call /v1/track '{"anonymousId": "a1", "event": "Clicked"}')
want='{"context":{"sessionId":1234567890,"sessionStart":true},"anonymousId": "a1", "event": "Clicked"}'
[ "$event" = "$want" ] || { printf 'got  %s\nwant %s\n' "$event" "$want" >&2; cat "$work/log" >&2; exit 1; }
echo "smoke: $event"
