// Package sqlite is a Store that keeps actors in one SQLite file. Commits survive a
// crash of the process and, because they are synced, the loss of power. It is the
// default store of the server.
//
// # Layout
//
// The file has a journal, one row for a group of commits or, of a large group, one
// for each 64 KiB of it (table groups), and a snapshot of each actor (table
// snapshots). The newest state of an actor is its snapshot plus its later commits in
// the journal. One row per group instead of one per commit makes commits cheap: those
// of many actors share one page, one insert and one sync.
//
// An actor is snapshotted when it has been idle for some time, when loading it would
// read much of the journal, and when its oldest commit that is in no snapshot is due
// to be trimmed. The journal is trimmed by age and by size, a little with every few
// groups. Clients that come back get the entries that they missed from it (Entries),
// so its age and size limit how many of them can be replayed.
//
// What outgrows a row has rows of its own: items of tables (table items), states over
// 1 MiB (pieces) and, if there are many, the callers of an actor (callers). A snapshot of
// more than 1 MiB, or one with more than 256 KiB of callers, is written in slices, one
// transaction each, between which other commits are written. Its row,
// written last, makes it count. A slice that was written ahead does no harm: the commits
// behind the old snapshot are absolute and are applied over it. Rows
// that nobody needs are noted in the table garbage and deleted in slices, too.
//
// The journal has one checksum a row, not one a commit: a damaged row makes all actors
// with a commit in it unreadable, which are at most as many as have commits in 64 KiB. A
// checksum of each would make every commit larger.
//
// Memory holds only the locations of the commits in the journal, and the states of the
// actors that have changed lately. A sleeping actor costs disk.
//
// # Types
//
// A Store has a reader (load.go) and a writer (writer.go), which share a catalog
// (catalog.go): the index in memory, the pool of connections that read, and the error
// that stops writes. Only the writer has the files (files.go), the connections of the
// open file. Its slicer (slice.go) writes large snapshots (save.go) and deletes garbage
// (garbage.go), its tombstones (ended.go) remove destroyed actors. Lock writer.writing
// before catalog.mu; readers lock only the latter.
//
// # Reading the file
//
// The tables hold JSON in text. The view commits is the journal with names, the
// view states the snapshots; both can be read with the sqlite3 shell while the
// server runs. Do not write to the file.
//
// What is deleted or replaced is overwritten (secure_delete, unless Options.NoSecureDelete), so that it is out of the
// file once the journal is trimmed past it and SQLite's log has been moved into the file.
// Backups that were made before still have it.
//
// # Format
//
// The file's user_version is its format. Open changes an older one to the newest, each
// format in one transaction; before that it keeps a copy of the file, see keepOld. A commit that uses
// nothing that is new in a format is stored as in the one before.
//
// # Failures
//
// A commit that finds no room fails with store.ErrFull, and nothing of it is
// kept. After any other disk error the outcome is unknown (store.ErrUnknown): the
// store opens the file again, as after a crash, and syncs its log into it. Until
// that succeeds no actor can be loaded or written. Health returns the error; the
// store recovers by itself once the disk works.
//
// A damaged actor cannot be loaded; the other actors work. Before the journal is
// trimmed, its rows of that actor are set aside (table aside), so that you can
// repair it.
//
// One process at a time writes: it holds a lock on the file troupe.lock. Each start
// raises the file's epoch, which stops a process that has lost its lock from
// writing (G10).
package sqlite
