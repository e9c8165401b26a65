//go:build redis

package main

// The store for several Caddys, with the client library that it needs.
import _ "github.com/rudder-session/rudder-session/caddymodule/stores/redis"
