// Package sqlite is a Store that keeps actors in one SQLite file: what it has
// committed survives a crash of the process and, synced to the disk, the loss of
// power. It is the default of the server.
//
// # Layout
//
// The file has a journal, one row for a group of commits or, of a large one, for
// each 64 KiB of it (table groups), and a snapshot of each actor (table
// snapshots). The newest state of an actor is its snapshot and what the journal
// has after it. A row per group instead of one per commit makes a commit cheap:
// those of many actors share one page, one insert and one sync.
//
// An actor is snapshotted when nothing has happened to it for some time, when
// much of the journal would have to be read to load it, and when its oldest
// commit that is in no snapshot is due to be trimmed. The journal is trimmed by
// age and by size, a little with every few groups; it is also what a client that
// comes back is served from (Entries), so its age and size are how much may be
// missed and still be replayed.
//
// In memory is only where the commits of the journal are, and the state of the
// actors that have changed lately. An actor that sleeps costs disk.
//
// # Reading it
//
// The tables hold JSON in text. The view commits is the journal with names, the
// view states the snapshots; both can be read with the sqlite3 shell while the
// server runs. Nobody else may write to the file.
//
// # Failures
//
// A commit that finds no room fails with store.ErrFull, and nothing of it is
// kept. After any other error of the disk the outcome is unknown
// (store.ErrUnknown): the file is opened anew, as after a crash, its journal
// synced into it, and only then can actors be loaded and written again. Health
// says what is wrong; the store goes on by itself when the disk does.
//
// An actor that the file has damaged cannot be loaded; the others go on. Before the
// journal is trimmed, what it has of that actor is set aside (table aside), for
// people who can repair it.
//
// One process at a time writes: it holds a lock on the file troupe.lock, and the
// file's epoch, which each start raises, keeps one whose lock was lost from
// writing (G10).
package sqlite
