// Package session is the core of the proxy: what a session is, and how events
// and control calls change it.
//
// [Transition] does all of it: a session, the messages of one request, and the policy
// go in; the new session and a decision for each message come out. It is a pure
// function: no clock, no lock, no I/O, and no goroutine. Its caller says when the
// request arrived, and stores the new session. A store can be slow, shared or down, but
// it cannot get the semantics wrong.
//
// The rules are those of docs/sessions.md. Each rule has a file, which begins
// with the heading of the section that it implements.
//
// All times are Unix milliseconds.
package session
