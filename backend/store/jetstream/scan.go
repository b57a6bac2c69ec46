package jetstream

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// Limits of one request of a scan.
const (
	scanMessages = 256
	scanBytes    = 4 << 20
)

// scannedMessage is a group of commits that a scan has read.
type scannedMessage struct {
	seq  uint64
	data []byte
}

// scan reads the groups of commits of a journal up to a message. Clean says that its owner
// has sealed it itself, or is still there.
func (c journals) scan(ctx context.Context, name string, upTo uint64) (groups []scannedMessage, clean bool, err error) {
	clean, err = c.each(ctx, name, upTo, func(m scannedMessage) error {
		groups = append(groups, m)
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	return groups, clean, nil
}

// each is scan that keeps no groups, but calls f with one after the other.
func (c journals) each(ctx context.Context, name string, upTo uint64, f func(scannedMessage) error) (clean bool, err error) {
	subject := c.journalOf(name)
	var pieces pieces
	clean = true
	for next := uint64(1); next <= upTo; {
		var some []*nats.Msg
		request := fmt.Sprintf(`{"seq":%d,"next_by_subj":%q,"batch":%d,"max_bytes":%d}`, next, subject, scanMessages, scanBytes)
		err := c.ask(ctx, c.journal, request, true, func(messages []*nats.Msg) bool {
			some = messages
			return len(messages) > 0 // there is that message or a later one: that replica is behind
		})
		if err != nil {
			return false, err
		}
		for _, m := range some {
			seq := sequence(m)
			if next = seq + 1; seq > upTo {
				break
			}
			if len(m.Data) == 0 {
				return false, fmt.Errorf("message %d of journal %s: %w", seq, name, journal.ErrDamaged)
			}
			if m.Data[0] != kindPiece {
				pieces.drop() // its last one was never written
			}
			switch m.Data[0] {
			case kindGroup:
				if err := f(scannedMessage{seq, m.Data}); err != nil {
					return false, err
				}
			case kindOpened:
				if err := checkFormat(m.Data); err != nil {
					return false, fmt.Errorf("journal %s: %w", name, err)
				}
			case kindPiece:
				p, err := readPiece(m.Data)
				if err != nil {
					return false, fmt.Errorf("message %d of journal %s: %w", seq, name, err)
				}
				if message := pieces.add(seq, p); message != nil {
					if err := f(scannedMessage{seq, message}); err != nil {
						return false, err
					}
				}
			case kindSeal:
				clean = strings.HasSuffix(string(m.Data), " "+name)
			case kindLease:
			default:
				return false, fmt.Errorf("message %d of journal %s is of an unknown kind %q", seq, name, m.Data[0])
			}
		}
	}
	return clean, nil
}

// openedMessage is the first message of a journal.
func openedMessage() []byte { return fmt.Appendf(nil, "%c%d", kindOpened, format) }

func checkFormat(opened []byte) error {
	if s := string(opened[1:]); s != fmt.Sprint(format) {
		return fmt.Errorf("it has format %s, this version reads %d", s, format)
	}
	return nil
}
