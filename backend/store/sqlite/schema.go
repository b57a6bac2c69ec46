package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// applicationID marks the file as a Troupe store ("Trpe").
const applicationID = 0x54727065

// migrations[i] changes a file of version i to version i+1. A file's version is its
// user_version; 0 is an empty file.
var migrations = []string{`
CREATE TABLE meta (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	epoch  INTEGER NOT NULL, -- raised by each process that takes over
	owner  TEXT NOT NULL,    -- that process, for people
	backup INTEGER NOT NULL  -- 1: a backup that nobody has opened yet
);
INSERT INTO meta VALUES (1, 0, '', 0);

CREATE TABLE actors (
	num  INTEGER PRIMARY KEY,
	id   TEXT NOT NULL UNIQUE,
	name TEXT NOT NULL,
	key  TEXT NOT NULL, -- JSON
	log  TEXT NOT NULL  -- the identity of its log
);

CREATE TABLE snapshots (
	actor     INTEGER PRIMARY KEY REFERENCES actors,
	rev       INTEGER NOT NULL,
	head      INTEGER NOT NULL, -- number of the newest entry
	next_conn INTEGER NOT NULL,
	connected INTEGER NOT NULL, -- how many connections there are
	sum       INTEGER NOT NULL, -- CRC-32C of state, conns and callers
	state     TEXT NOT NULL,    -- JSON, as the next two
	conns     TEXT NOT NULL,
	callers   TEXT NOT NULL
);
CREATE INDEX snapshots_connected ON snapshots (actor) WHERE connected > 0;

-- The journal: each row is a group of commits, or a part of one. The commits
-- column comes last: reading the others does not read its pages.
CREATE TABLE groups (
	id      INTEGER PRIMARY KEY,
	places  TEXT NOT NULL,    -- for each commit: actor, revision, head, bytes
	sum     INTEGER NOT NULL, -- CRC-32C of commits
	commits TEXT NOT NULL     -- a JSON array
);

CREATE VIEW commits AS SELECT
	g.id AS group_id, a.name AS name, a.key AS key,
	c.value ->> 'r' AS rev,
	strftime('%Y-%m-%d %H:%M:%f', (c.value ->> 't') / 1000.0, 'unixepoch') AS time,
	c.value -> 's' AS state,
	c.value -> 'd' AS delta,
	c.value -> 'e' AS entries,
	c.value -> 'c' AS conns,
	c.value -> 'g' AS gone,
	c.value -> 'k' AS callers,
	c.value -> 'l' AS gone_callers
FROM groups g, json_each(g.commits) c JOIN actors a ON a.num = c.value ->> 'a';

CREATE VIEW states AS SELECT a.name, a.key, s.rev, s.head, s.state, s.conns, s.callers
FROM snapshots s JOIN actors a ON a.num = s.actor;
`, `
-- Rows of the journal that are out of it, but not thrown away: each has commits
-- of an actor that could not be read.
CREATE TABLE aside (
	id      INTEGER PRIMARY KEY,
	places  TEXT NOT NULL,
	sum     INTEGER NOT NULL,
	commits TEXT NOT NULL
);
`, `
-- A commit may have edits of the state, which an older version would not read.
DROP VIEW commits;
CREATE VIEW commits AS SELECT
	g.id AS group_id, a.name AS name, a.key AS key,
	c.value ->> 'r' AS rev,
	strftime('%Y-%m-%d %H:%M:%f', (c.value ->> 't') / 1000.0, 'unixepoch') AS time,
	c.value -> 's' AS state,
	c.value -> 'd' AS delta,
	c.value -> 'u' AS edits,
	c.value -> 'e' AS entries,
	c.value -> 'c' AS conns,
	c.value -> 'g' AS gone,
	c.value -> 'k' AS callers,
	c.value -> 'l' AS gone_callers
FROM groups g, json_each(g.commits) c JOIN actors a ON a.num = c.value ->> 'a';
`, `
-- What outgrows a snapshot, and the times at which actors have to be awake.
ALTER TABLE meta ADD COLUMN clean INTEGER NOT NULL DEFAULT 1; -- 0: a process has it open, or has ended without closing it
ALTER TABLE meta ADD COLUMN last  INTEGER NOT NULL DEFAULT 0; -- numbers of actors and owners up to this one were given

ALTER TABLE actors ADD COLUMN owner INTEGER NOT NULL DEFAULT 0; -- of its rows below; 0: its num
CREATE INDEX actors_name ON actors (name, num);

-- Times are in Unix milliseconds; 0 means none.
ALTER TABLE snapshots ADD COLUMN version INTEGER NOT NULL DEFAULT 0; -- of the definition that wrote the state
ALTER TABLE snapshots ADD COLUMN due     INTEGER NOT NULL DEFAULT 0; -- when the actor has to be awake
ALTER TABLE snapshots ADD COLUMN parked  INTEGER NOT NULL DEFAULT 0; -- how many parked messages there are
ALTER TABLE snapshots ADD COLUMN ended   INTEGER NOT NULL DEFAULT 0; -- when it was destroyed, if it is a tombstone; 1: to be removed
ALTER TABLE snapshots ADD COLUMN changed INTEGER NOT NULL DEFAULT 0; -- its newest commit
ALTER TABLE snapshots ADD COLUMN bytes   INTEGER NOT NULL DEFAULT 0; -- of its state and its items; 0: of state
ALTER TABLE snapshots ADD COLUMN rest    TEXT    NOT NULL DEFAULT ''; -- JSON: the other fields. sum includes it
CREATE INDEX snapshots_due    ON snapshots (due, actor)    WHERE due > 0;
CREATE INDEX snapshots_parked ON snapshots (parked, actor) WHERE parked > 0;
CREATE INDEX snapshots_ended  ON snapshots (ended, actor)  WHERE ended > 0;

CREATE TABLE items (
	owner   INTEGER NOT NULL,
	tbl     INTEGER NOT NULL,
	key     BLOB    NOT NULL,
	version INTEGER NOT NULL,
	value   TEXT    NOT NULL, -- JSON
	PRIMARY KEY (owner, tbl, key)
) WITHOUT ROWID;

-- States that are too large for a row of snapshots, in pieces.
CREATE TABLE pieces (
	owner INTEGER NOT NULL,
	gen   INTEGER NOT NULL, -- of the snapshot that they belong to
	n     INTEGER NOT NULL,
	part  TEXT    NOT NULL,
	PRIMARY KEY (owner, gen, n)
) WITHOUT ROWID;

-- Callers of actors that have many: only those that have changed are written.
CREATE TABLE callers (
	owner  INTEGER NOT NULL,
	id     TEXT    NOT NULL,
	sum    INTEGER NOT NULL, -- CRC-32C of record
	record TEXT    NOT NULL, -- JSON
	PRIMARY KEY (owner, id)
) WITHOUT ROWID;

-- Rows that nobody needs and that are deleted a few at a time: of a table of items, of
-- a whole owner (tbl -1), pieces of the generations before g (tbl -1-g) or of g (-2^30+g), or
-- callers (-2^30).
CREATE TABLE garbage (
	owner INTEGER NOT NULL,
	tbl   INTEGER NOT NULL,
	PRIMARY KEY (owner, tbl)
) WITHOUT ROWID;

CREATE TABLE secrets (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;

-- A view that an old sqlite3 shell cannot parse makes it refuse the whole file: no ORDER
-- BY in an aggregate.
DROP VIEW states;
CREATE VIEW states AS SELECT a.name, a.key, s.rev, s.head,
	CASE WHEN nullif(s.rest, '') ->> 'gen' IS NULL THEN s.state ELSE (
		SELECT group_concat(p.part, '') FROM (
			SELECT part FROM pieces
			WHERE owner = coalesce(s.rest ->> 'owner', a.num) AND gen = s.rest ->> 'gen' ORDER BY n
		) p
	) END AS state,
	s.conns,
	CASE WHEN nullif(s.rest, '') ->> 'callerRows' IS NULL THEN s.callers ELSE (
		SELECT json_group_array(json(c.record)) FROM callers c WHERE c.owner = coalesce(s.rest ->> 'owner', a.num)
	) END AS callers,
	s.version, s.rest
FROM snapshots s JOIN actors a ON a.num = s.actor;
`}

// keepOld copies a file that is about to be migrated, so that you can go back to the
// version of Troupe that wrote it: that one refuses the new format. Without room for the
// copy the file is migrated without it.
func keepOld(ctx context.Context, conn *sql.Conn, path string, o Options) error {
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version == 0 || version >= len(migrations) {
		return nil
	}
	kept := fmt.Sprintf("%s.format%d", path, version)
	temp := kept + ".part"
	remove := func() error {
		if err := os.Remove(temp); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := remove(); err != nil { // of a process that was killed
		return err
	}
	err := os.WriteFile(temp, nil, 0o600) // others must not read it while it is written either
	if err == nil {
		err = copyInto(ctx, path, temp)
	}
	if err == nil {
		err = syncFile(temp)
	}
	if err == nil {
		err = os.Rename(temp, kept)
	}
	if damaged(err) {
		return errors.Join(err, remove())
	} else if err != nil {
		err = errors.Join(err, remove())
		o.Logger.Warn("the store is changed to a new format without keeping a copy in the old one, so that an older version of Troupe cannot open it again",
			"file", path, "from", version, "to", len(migrations), "error", err)
		return nil
	}
	_ = syncFile(filepath.Dir(path)) // its name; not every system can do that
	o.Logger.Info("the store is changed to a new format; to go back to an older version of Troupe, restore the copy with that version (troupe restore) and then delete it",
		"file", path, "from", version, "to", len(migrations), "copy", kept)
	return nil
}

// migrate changes a file to the version len(steps).
func migrate(ctx context.Context, conn *sql.Conn, steps []string) error {
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for ; version < len(steps); version++ {
		_, err := conn.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", steps[version], applicationID, version+1))
		if err != nil {
			_, _ = conn.ExecContext(ctx, "ROLLBACK") // it may have been rolled back already
			return fmt.Errorf("migrate it from version %d to %d: %w", version, version+1, err)
		}
	}
	return nil
}
