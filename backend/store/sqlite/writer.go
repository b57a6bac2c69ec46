package sqlite

import (
	"context"
	"errors"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// open opens the file, makes its index, and takes it over.
func (s *Store) open(ctx context.Context) error {
	f, x, err := openFiles(ctx, s.path(), s.options, s.epoch != 0)
	if err != nil {
		return err
	}
	epoch, clean, err := f.takeOver(ctx, s.epoch, s.options)
	if err == nil {
		f.opened, err = identify(s.path()) // after a transaction: SQLite has made its log
	}
	if err == nil {
		err = f.conn.QueryRowContext(ctx, "SELECT max(coalesce(max(num), 0), (SELECT last FROM meta)), (SELECT coalesce(max(id), 0) FROM groups) FROM actors").Scan(&s.lastNum, &s.encoder.LastRow)
	}
	if err == nil && s.epoch == 0 {
		s.unclean = !clean
	}
	if err == nil {
		err = s.findForgotten(ctx, f)
	}
	if err != nil {
		return errors.Join(refused(s.path(), err), f.close())
	}
	s.files, s.epoch, s.encoder.MaxRow = f, epoch, f.maxRow
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index, s.reader = *x, f.reader
	return nil
}

// closeFiles closes the file and drops its index. Set s.failure before: readers
// that find no file return it.
func (s *Store) closeFiles() error {
	f := s.files
	s.files, s.planner.Due, s.idling, s.saves, s.slicing, s.large = nil, nil, nil, nil, nil, nil
	s.mu.Lock()
	s.reader, s.index = nil, journal.NewIndex()
	s.mu.Unlock()
	return f.close()
}

// markClean notes that the file is closed and nothing is missing.
func (s *Store) markClean(ctx context.Context) error {
	_, err := s.files.conn.ExecContext(ctx, "UPDATE meta SET clean = 1 WHERE epoch = ?", s.epoch)
	return err
}
