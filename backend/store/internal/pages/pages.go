// Package pages keeps the items of a table in a tree of pages, for a store that can keep
// small blobs under names but has no transactions over several of them.
//
// A page never changes: Fold, which applies edits, writes new pages for the changed ones and
// for those on the way to them, and returns a new root. The root is in the actor's head,
// which the store replaces with a compare-and-set: that is the one fence. A Fold that is cut
// off, or whose head loses, leaves the tree of the old root as it was, and Orphans later
// finds what it has written.
//
// The order in which a store uses the package:
//
//  1. Fold writes pages.
//  2. Write the head with the new root.
//  3. Prove that no other owner has taken over.
//  4. Delete what the fold has replaced.
//
// Without step 3 a deposed owner, whose head may still have been stored, would delete pages
// that the new owner's root names. For the same reason an owner proves itself between
// Orphans and deleting them. Page names begin with the owner's slot, which no other owner
// uses, so that a deposed owner's late page takes nobody's place.
//
// The tree is a B+ tree as in CouchDB and LMDB, which are copied on write as well.
package pages

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors of the functions of this package, which wrap them.
var (
	// ErrMissing means that a page is not there. Either the root is no longer the newest
	// one, or what answered has not yet heard of the page: take the newest root and try
	// again.
	ErrMissing = errors.New("pages: no such page")

	// ErrDamaged means that a page is not what was written.
	ErrDamaged = errors.New("pages: damaged page")

	// ErrNewer means that a newer version of this program has written a page, in a format
	// that this one does not know.
	ErrNewer = errors.New("pages: a page has a newer format")
)

// Limits of how much is read or written at once.
const (
	batchPages = 32
	batchBytes = 1 << 20 // about
)

// limits bound the pages of a tree. A leaf with one item and a directory page with two refs
// may be larger.
type limits struct {
	pageBytes int // of a page
	refs      int // of a directory page
	rootRefs  int // of a root, which is written with each head
	rootBytes int // of the keys in a root
}

// limit is the limits; tests make them small. At 200 bytes an item, one directory names 8 MiB
// of items, a root with directories under it 500 MiB, and a level more 128 GiB.
var limit = limits{pageBytes: 32 << 10, refs: 256, rootRefs: 64, rootBytes: 4 << 10}

// Pages are the pages of one actor. The tables of an actor share them. All methods may be
// called at the same time.
type Pages interface {
	// Get returns the pages of some names, in their order; nil for one that is not there. The
	// caller does not change the bytes.
	Get(ctx context.Context, names []Name) ([][]byte, error)

	// Put stores pages, of which none is there, and returns when they are durable. If it
	// returns an error, any of them may be there. It may keep the bytes.
	Put(ctx context.Context, pages []Page) error

	// Delete removes pages, some of which may not be there.
	Delete(ctx context.Context, names []Name) error

	// List returns the names of all pages, in any order.
	List(ctx context.Context) ([]Name, error)
}

// Page is a page as it is stored.
type Page struct {
	Name Name
	Data []byte
}

// Name is the name of a page. No two pages ever have the same one.
type Name struct {
	Slot uint64 // of the owner that has written it
	N    uint64 // counts the pages of the slot
}

// String returns the name in the form slot-n.
func (n Name) String() string { return fmt.Sprintf("%d-%d", n.Slot, n.N) }

// MarshalText implements encoding.TextMarshaler.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Name) UnmarshalText(text []byte) (err error) {
	*n, err = ParseName(string(text))
	return err
}

// ParseName parses what String returns.
func ParseName(s string) (Name, error) {
	slot, n, _ := strings.Cut(s, "-")
	a, err1 := strconv.ParseUint(slot, 10, 64)
	b, err2 := strconv.ParseUint(n, 10, 64)
	if name := (Name{a, b}); err1 == nil && err2 == nil && name.String() == s {
		return name, nil
	}
	return Name{}, fmt.Errorf("%q is not the name of a page", s)
}

// Root is the root of a table's tree. It is kept in the head of the actor, as JSON. The
// zero Root is a table without items. Do not change it.
type Root struct {
	Level int   `json:"l,omitempty"` // of the pages that it names: 0 are leaves
	Refs  []Ref `json:"r,omitempty"` // in the order of their keys
}

// Ref names a page. No key in it is below Key. In a root, the first Key is nil.
type Ref struct {
	Key  []byte `json:"k,omitempty"`
	Page Name   `json:"p"`
}

func (r Ref) lower() []byte { return r.Key }

func (r Ref) size() int { return bytesSize(r.Key) + uintSize(r.Page.Slot) + uintSize(r.Page.N) }

func (r Ref) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(r.Key)))
	b = append(b, r.Key...)
	b = binary.AppendUvarint(b, r.Page.Slot)
	return binary.AppendUvarint(b, r.Page.N)
}

// fits reports whether refs can be a root, or with parts 2, whether they fill at most half of it.
func fits(refs []Ref, parts int) bool {
	size := 0
	for _, r := range refs {
		size += len(r.Key)
	}
	return len(refs) <= 1 || len(refs) <= limit.rootRefs/parts && size <= limit.rootBytes/parts
}
