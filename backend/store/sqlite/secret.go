package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
)

// secret returns a secret, which it makes if there is none.
func (w *writer) secret(ctx context.Context, name string, generate func() []byte) (value []byte, err error) {
	w.writing.Lock()
	defer w.writing.Unlock()
	if err := w.writable(ctx); err != nil {
		return nil, err
	}
	err = w.files.conn.QueryRowContext(ctx, "SELECT value FROM secrets WHERE name = ?", name).Scan(&value)
	if !errors.Is(err, sql.ErrNoRows) {
		return value, err
	}
	if value = generate(); len(value) == 0 {
		return nil, errors.New("it would be empty")
	}
	err = w.files.inFencedTransaction(ctx, w.epoch, func() error {
		_, err := w.files.conn.ExecContext(ctx, "INSERT INTO secrets (name, value) VALUES (?, ?)", name, value)
		return err
	})
	if err != nil {
		return nil, w.failed(err)
	}
	return value, nil
}

// HasSecret reports whether a store that no process needs to have open, such as a backup,
// has a secret. It changes nothing.
func HasSecret(ctx context.Context, file, name string) (has bool, err error) {
	if _, err := os.Stat(file); err != nil {
		return false, err
	}
	db, err := sql.Open("sqlite", dsn(file, "ro", "", "busy_timeout=5000"))
	if err != nil {
		return false, err
	}
	defer db.Close()                                                          // it only reads
	const table = "SELECT count(*) FROM sqlite_schema WHERE name = 'secrets'" // formats before 4 have none
	if err := db.QueryRowContext(ctx, table).Scan(&has); err != nil || !has {
		return false, err
	}
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM secrets WHERE name = ?", name).Scan(&has)
	return has, err
}
