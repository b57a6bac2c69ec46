package jetstream

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// The first byte of a journal's message is its kind.
const (
	kindOpened = 'O' // the first one, with the format of the journal
	kindGroup  = 'G' // see groupMessage
	kindPiece  = 'P' // see pieces
	kindLease  = 'L' // nothing: it proves that the owner is one
	kindSeal   = 'S' // the last one, with the incarnation that has written it
)

// format is the newest format of a journal.
const format = 1

// groupMessage is a message with commits that is being written:
//
//	G<checksum> <actor> <rev> <head> <length> <tokens>,<actor> …\n<commit>\n<commit>\n…
//
// The locations come first, so that a scan does not decode commits. The checksum, of eight
// hexadecimal digits, covers what follows it. The zero value is empty.
type groupMessage struct {
	locations []byte
	commits   []byte
}

// location is where a commit is in a group's message.
type location struct {
	actor     string
	rev, head uint64
	off, len  uint32 // off counts from the first commit
	journal.Tokens
}

// add adds a commit after which the actor's newest entry is head. Identity says that the
// commit has one. It returns where the commit is.
func (g *groupMessage) add(c *store.Commit, size int, head uint64, identity bool) location {
	at := location{actor: c.Actor, rev: c.Rev, head: head, off: uint32(len(g.commits))}
	g.commits = journal.AppendCommit(g.commits, 0, c, size)
	if identity {
		g.commits = journal.AppendIdentity(g.commits, c)
	}
	at.len = uint32(len(g.commits)) - at.off
	g.commits = append(g.commits, '\n')
	if len(g.locations) > 0 {
		g.locations = append(g.locations, ',')
	}
	g.locations = append(append(g.locations, c.Actor...), ' ')
	g.locations = append(strconv.AppendUint(g.locations, c.Rev, 10), ' ')
	g.locations = append(strconv.AppendUint(g.locations, head, 10), ' ')
	g.locations = strconv.AppendUint(g.locations, uint64(at.len), 10)
	g.locations = journal.AppendTokens(g.locations, c)
	return at
}

// undo removes the last commit, before which the lengths were these.
func (g *groupMessage) undo(locations, commits int) {
	g.locations, g.commits = g.locations[:locations], g.commits[:commits]
}

// bytes returns the message.
func (g *groupMessage) bytes() []byte {
	b := make([]byte, checksummed, checksummed+len(g.locations)+1+len(g.commits))
	b = append(append(append(b, g.locations...), '\n'), g.commits...)
	b[0] = kindGroup
	putChecksum(b[1:], b[checksummed:])
	return b
}

// checksummed is where the part of a message begins that its checksum covers.
const checksummed = 1 + 8

func putChecksum(at, of []byte) {
	hex.Encode(at[:8], binaryChecksum(of))
}

func binaryChecksum(b []byte) []byte {
	sum := journal.Checksum(b)
	return []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}
}

// splitGroup checks a group's message and returns its locations and commits.
func splitGroup(message []byte) (locations, commits []byte, err error) {
	if len(message) < checksummed || message[0] != kindGroup {
		return nil, nil, fmt.Errorf("it is no group of commits: %w", journal.ErrDamaged)
	}
	var sum [8]byte
	if putChecksum(sum[:], message[checksummed:]); !bytes.Equal(sum[:], message[1:checksummed]) {
		return nil, nil, fmt.Errorf("it does not have its checksum: %w", journal.ErrDamaged)
	}
	locations, commits, ok := bytes.Cut(message[checksummed:], []byte{'\n'})
	if !ok {
		return nil, nil, fmt.Errorf("it has no commits: %w", journal.ErrDamaged)
	}
	return locations, commits, nil
}

// readLocations calls f with the locations of a group's message, in their order.
func readLocations(locations []byte, f func(location) error) error {
	bad := fmt.Errorf("its locations: %w", journal.ErrDamaged)
	off := uint32(0)
	for len(locations) > 0 {
		var one []byte
		one, locations, _ = bytes.Cut(locations, []byte{','})
		actor, one, ok := bytes.Cut(one, []byte{' '})
		if !ok {
			return bad
		}
		var n [3]uint64
		for i := range n {
			if n[i], one, ok = journal.CutNumber(one); !ok {
				return bad
			}
		}
		at := location{actor: string(actor), rev: n[0], head: n[1], off: off, len: uint32(n[2])}
		if at.Tokens, one, ok = journal.CutTokens(one); !ok || len(one) > 0 {
			return bad
		}
		off += at.len + 1
		if err := f(at); err != nil {
			return err
		}
	}
	return nil
}

// A message that is longer than NATS takes goes as pieces, one after the other:
//
//	P<index> <number> <sequence of the first>\n<bytes>
//
// It counts when the last piece is there, and is known by that one's sequence. The
// sequence of the first is 0 in itself.
func piece(i, n int, first uint64, part []byte) []byte {
	b := fmt.Appendf(nil, "%c%d %d %d\n", kindPiece, i, n, first)
	return append(b, part...)
}

// pieceHeader is what a piece says of itself.
type pieceHeader struct {
	i, n  int
	first uint64
	part  []byte
}

func readPiece(message []byte) (p pieceHeader, err error) {
	line, part, ok := bytes.Cut(message, []byte{'\n'})
	var n [3]uint64
	line = line[1:]
	for i := range n {
		if ok {
			n[i], line, ok = journal.CutNumber(line)
		}
	}
	if !ok || n[0] >= n[1] {
		return p, fmt.Errorf("a piece of a message: %w", journal.ErrDamaged)
	}
	return pieceHeader{int(n[0]), int(n[1]), n[2], part}, nil
}

// pieces puts a message together. The zero value has none.
type pieces struct {
	first uint64 // the sequence of the first one
	n     int    // how many it has, from that one on
	data  []byte
}

func (p *pieces) drop() { *p = pieces{} }

// add adds the next piece, and returns the message if that is its last one. A piece that does not
// follow is dropped: those before it were trimmed, perhaps while the journal is read.
func (p *pieces) add(seq uint64, next pieceHeader) []byte {
	if next.i == 0 {
		*p = pieces{first: seq}
	} else if next.i != p.n || next.first != p.first {
		p.drop()
		return nil
	}
	p.n++
	if p.data = append(p.data, next.part...); p.n < next.n {
		return nil
	}
	message := p.data
	p.drop()
	return message
}

// newID returns an id that nothing else has.
func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return hex.EncodeToString(b[:])
}
