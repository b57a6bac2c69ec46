// Package inspect is the inspector: pages and a JSON API with which operators see what a
// server's actors do, and touch them. Package server mounts it at /inspect of the debug
// address; docs/inspect.md describes it.
//
// inspect.go has the options and the routes; access.go decides who may come in; sample.go
// counts for the overview; read.go and write.go are the API, stream.go is its live part;
// actor.go is an actor in it, itemkey.go the keys of tables; peers.go has other nodes of a
// cluster answer for their actors; contract.go says what actors offer; page.go serves the page,
// which web/build makes from web/src/inspect.
//
// Looking never wakes an actor and never keeps one awake, and while no page is open, the
// inspector reads some counters once a second.
package inspect
