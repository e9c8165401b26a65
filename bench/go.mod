module github.com/rudder-session/rudder-session/bench

go 1.26

require github.com/klauspost/compress v1.20.4
