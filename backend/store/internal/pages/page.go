package pages

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/troupe-dev/troupe/backend/store"
)

// A page is
//
//	format, 1 byte | CRC-32C of the name and the rest, 4 bytes | level, 1 byte | entries
//
// Level 0 is a leaf, whose entries are items: length of the key, key, version, length of the
// value, value. A directory of level l has entries that name pages of level l-1: length of
// the key, key, slot, n. Numbers are varints.
const (
	format     = 1
	headerSize = 6
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// An entry is an item of a leaf or a Ref of a directory.
type entry interface {
	lower() []byte // its key
	size() int     // in a page
	append(b []byte) []byte
}

type item store.Item

func (i item) lower() []byte { return i.Key }

func (i item) size() int {
	version := int64(i.Version)
	return bytesSize(i.Key) + uintSize(uint64(version<<1^version>>63)) + bytesSize(i.Value)
}

func (i item) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(i.Key)))
	b = append(b, i.Key...)
	b = binary.AppendVarint(b, int64(i.Version))
	b = binary.AppendUvarint(b, uint64(len(i.Value)))
	return append(b, i.Value...)
}

// uintSize returns how many bytes a number takes.
func uintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func bytesSize(b []byte) int { return uintSize(uint64(len(b))) + len(b) }

func encode[E entry](name Name, level int, entries []E, size int) []byte {
	b := make([]byte, headerSize, headerSize+size)
	b[0], b[5] = format, byte(level)
	for _, e := range entries {
		b = e.append(b)
	}
	binary.BigEndian.PutUint32(b[1:], checksum(name, b[5:]))
	return b
}

// checksum includes the name, so that a page under the wrong name is found.
func checksum(name Name, b []byte) uint32 {
	var n [16]byte
	binary.BigEndian.PutUint64(n[:], name.Slot)
	binary.BigEndian.PutUint64(n[8:], name.N)
	return crc32.Update(crc32.Checksum(n[:], castagnoli), castagnoli, b)
}

// decoder reads the numbers and bytes of a page.
type decoder struct {
	name   Name
	b      []byte
	failed bool
}

// open checks a page and returns a decoder of its entries.
func open(name Name, level int, page []byte) (*decoder, error) {
	switch {
	case page == nil:
		return nil, fmt.Errorf("page %v: %w", name, ErrMissing)
	case len(page) > 0 && page[0] > format:
		return nil, fmt.Errorf("page %v has format %d, this version reads up to %d: %w", name, page[0], format, ErrNewer)
	case len(page) < headerSize || page[0] != format || binary.BigEndian.Uint32(page[1:]) != checksum(name, page[5:]):
		return nil, fmt.Errorf("page %v does not have its checksum: %w", name, ErrDamaged)
	case int(page[5]) != level:
		return nil, fmt.Errorf("page %v has level %d, not %d: %w", name, page[5], level, ErrDamaged)
	}
	return &decoder{name: name, b: page[headerSize:]}, nil
}

// IsDirectory reports whether a page is whole and leads to others.
func IsDirectory(name Name, page []byte) bool {
	if len(page) < headerSize || page[5] == 0 {
		return false
	}
	_, err := open(name, int(page[5]), page)
	return err == nil
}

func (d *decoder) more() bool { return len(d.b) > 0 && !d.failed }

func (d *decoder) err() error {
	if d.failed {
		return fmt.Errorf("page %v ends in the middle of an entry: %w", d.name, ErrDamaged)
	}
	return nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	return d.number(v, n)
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	return int64(d.number(uint64(v), n))
}

func (d *decoder) number(v uint64, n int) uint64 {
	if n <= 0 {
		d.failed = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uint()
	if d.failed || n > uint64(len(d.b)) {
		d.failed = true
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

// decodeLeaf returns the items of a leaf. They share its bytes.
func decodeLeaf(name Name, page []byte) ([]item, error) {
	d, err := open(name, 0, page)
	if err != nil {
		return nil, err
	}
	items := make([]item, 0, len(page)/128) // about the size of an item
	for d.more() {
		items = append(items, item{Key: d.bytes(), Version: int(d.int()), Value: d.bytes()})
	}
	return items, d.err()
}

// decodeDirectory returns what a directory page names. The keys share its bytes.
func decodeDirectory(name Name, level int, page []byte) ([]Ref, error) {
	d, err := open(name, level, page)
	if err != nil {
		return nil, err
	}
	var refs []Ref
	for d.more() {
		refs = append(refs, Ref{Key: d.bytes(), Page: Name{d.uint(), d.uint()}})
	}
	if d.err() == nil && len(refs) == 0 {
		return nil, fmt.Errorf("directory page %v is empty: %w", name, ErrDamaged)
	}
	return refs, d.err()
}
