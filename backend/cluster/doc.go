// Package cluster lets several nodes run the actors of one application. A node is a process;
// all nodes are equal, and none coordinates the others.
//
// Actors belong to partitions (store.Partition), and each partition belongs to one node.
// The table (table.go) says which: it is one small message that nodes change by
// compare-and-set (register.go), and want.go decides where partitions should be. A node
// that runs is an incarnation (member.go): it has an id and a journal that are never used
// again, and a slot, its number in the table.
//
// A partition changes hands in two ways only (place.go): its owner gives it away, or another
// node has ended its owner's journal, after which the owner can write nothing more. Nodes do
// that when an owner has been silent for longer than its lease (lease.go). A node that ends
// gives all away first (leave.go). Stores are package jetstream's (jetstore.go, actorstore.go).
//
// Gateways reach actors through a Port (port.go, ask.go), which sends requests for actors of
// other nodes as items (item.go, coder.go) over a link (package link) to their owners
// (owner.go), and keeps copies of their logs (copy.go). It also takes requests for sockets over
// HTTP to the gateways that have them (http.go), and those of an inspector to other nodes
// (inspect.go). A user who has signed out is disconnected on all nodes (disconnect.go).
//
// Cluster (cluster.go) is all of that for a server, with metrics (metrics.go), over NATS
// (nats.go). In a small cluster each node has a nats-server in its own process (embed.go,
// serverlog.go). backup.go fills clusters, and makes backups of them.
//
// # Lock order
//
// In membership, tables.mu is taken before life.mu. In a Port, served.mu is taken before a
// log's; Port.mu and a copy's are not held while another lock of theirs is taken, or while a
// host or a link is called. Join alone holds Port.mu while it listens.
package cluster
