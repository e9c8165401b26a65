// Package sessionstate holds the sessions: what a session is, how events and
// control calls change it, and where it is kept.
//
// All of the semantics are in one pure function, [session.Transition]: a session, what
// happened, and the policy go in; the new session and a decision for each
// event come out. [Table] runs it over a [Store] with compare-and-swap, so a
// store can be slow or shared, but it cannot get the semantics wrong.
//
// All times are Unix milliseconds. Nothing here reads a clock.
package sessionstate
