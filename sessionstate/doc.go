// Package sessionstate keeps sessions: in which store, in which cache, and how
// changes are written.
//
// What a session is, and how events and control calls change it, is in package
// session, in one pure function, [session.Transition]: a session, what happened,
// and the policy go in; the new session and a decision for each event come out.
// [Table] runs it over a [Store] with compare-and-swap, so a store can be slow or
// shared, but it cannot get the semantics wrong.
//
// All times are Unix milliseconds.
package sessionstate
