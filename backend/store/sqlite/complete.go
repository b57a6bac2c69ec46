package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// checkComplete returns an error if a part of the file is certainly missing, as after
// an unfinished copy. SQLite would read zeros there and notice late, or take the file
// for a new one and throw its log away.
func checkComplete(path string) error {
	size, logSize, err := sizes(path)
	if err != nil {
		return err
	}
	if size == 0 && logSize > 0 {
		return fmt.Errorf("it is empty or missing, but its log %s-wal exists: %w", path, journal.ErrDamaged)
	}
	pages, pageSize, err := header(path)
	if err != nil || size >= pages*pageSize {
		return err
	}
	if _, err := os.Stat(path + "-journal"); err == nil {
		return nil // it was being created; SQLite rolls that back
	}
	// While SQLite moves its log into the file, it writes the first page, which has
	// the number of pages, before the others. The log still has all of them then.
	logged, inLog, err := loggedPages(path+"-wal", pageSize)
	if err != nil {
		return err
	}
	if logged > 0 {
		pages = logged
	}
	if size, _, err = sizes(path); err != nil { // again: another program may have moved some
		return err
	}
	for page := size/pageSize + 1; page <= pages; page++ {
		const lockByte = 1 << 30 // the page with it is never written
		if !inLog[uint32(page)] && page != lockByte/pageSize+1 {
			return fmt.Errorf("it has %d bytes, its %d pages take %d: %w", size, pages, pages*pageSize, journal.ErrDamaged)
		}
	}
	return nil
}

// sizes returns the sizes of a file and of SQLite's log of it, 0 if there is none.
func sizes(path string) (size, logSize int64, err error) {
	for name, to := range map[string]*int64{path: &size, path + "-wal": &logSize} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return 0, 0, err
		}
		*to = info.Size()
	}
	return size, logSize, nil
}

// header returns the number of pages and the page size from a file's header; 0 if
// the header is not one that SQLite would trust.
func header(path string) (pages, pageSize int64, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	} else if err != nil {
		return 0, 0, err
	}
	defer file.Close() // it only reads
	b := make([]byte, 100)
	if _, err := io.ReadFull(file, b); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, 0, nil
	} else if err != nil {
		return 0, 0, err
	}
	const changes, validFor = 24, 92
	if !bytes.HasPrefix(b, []byte("SQLite format 3\x00")) || !bytes.Equal(b[changes:changes+4], b[validFor:validFor+4]) {
		return 0, 0, nil
	}
	pageSize = int64(binary.BigEndian.Uint16(b[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	return int64(binary.BigEndian.Uint32(b[28:])), pageSize, nil
}

// loggedPages returns the number of pages of the file after the last transaction in
// SQLite's log, 0 if there is none, and the pages that the log has.
func loggedPages(path string, pageSize int64) (pages int64, inLog map[uint32]bool, err error) {
	log, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	} else if err != nil {
		return 0, nil, err
	}
	const headerSize, frameHeader = 32, 24
	if len(log) < headerSize {
		return 0, nil, nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if log[3]&1 == 1 {
		order = binary.BigEndian
	}
	salts := log[16:24]
	sum := logSum(order, [2]uint32{}, log[:24])
	if sum != sumAt(log[24:]) {
		return 0, nil, nil
	}
	inLog = map[uint32]bool{}
	var open []uint32 // pages of a transaction whose end is not read yet
	for log = log[headerSize:]; int64(len(log)) >= frameHeader+pageSize; log = log[frameHeader+pageSize:] {
		sum = logSum(order, logSum(order, sum, log[:8]), log[frameHeader:frameHeader+pageSize])
		if !bytes.Equal(log[8:16], salts) || sum != sumAt(log[16:]) {
			break // of an older log
		}
		open = append(open, binary.BigEndian.Uint32(log))
		if size := binary.BigEndian.Uint32(log[4:]); size > 0 {
			pages = int64(size)
			for _, page := range open {
				inLog[page] = true
			}
			open = nil
		}
	}
	return pages, inLog, nil
}

// logSum continues the checksum of SQLite's log.
func logSum(order binary.ByteOrder, sum [2]uint32, b []byte) [2]uint32 {
	for ; len(b) >= 8; b = b[8:] {
		sum[0] += order.Uint32(b) + sum[1]
		sum[1] += order.Uint32(b[4:]) + sum[0]
	}
	return sum
}

func sumAt(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}
