// Package jetstream keeps actors in streams of NATS JetStream, on several servers, for
// nodes that share them. Each actor has one owner at a time.
//
// A Store is one incarnation of a node. It writes its commits to a journal of its own:
// one subject of the stream TROUPE_J, in which a message is one group of commits. Each
// message is published with the sequence that the one before was acknowledged with, so
// whoever adds a message to a foreign journal (Seal) ends it: no later message of its
// owner is ever stored. That is the fence that keeps G10, and, with the time of the newest
// acknowledged message, the lease.
//
// Snapshots are messages of the stream TROUPE_S, the newest for each actor (its head). They
// are read from any replica that has the barrier, a message that the store wrote when it
// took the actor over. A new owner reads the sealed journal first, writes the barrier, and
// then reads heads: what was trimmed from the journal is in heads that were there before.
//
// The items of tables are in pages, messages of the stream TROUPE_I that never change, and
// an actor's head has the roots of their trees: see package pages. They are folded into
// pages when the head is written. Commits since then are in the journal, and read over them.
//
// The files: names and client are about NATS; publish adds messages to the journal;
// message and scan are its format; load, entries, list and due read; commit writes; snapshot
// and save are about heads, pages, directories and tables about items; upkeep trims, tidy
// removes journals that were begun in vain; owner and adopt are about who owns what; backup
// copies all actors as they were at one moment, and restore fills empty streams.
//
// Locks, in this order: keeper.work, ownJournal.writing, catalog.mu. Nothing waits for NATS
// while it holds catalog.mu.
package jetstream
