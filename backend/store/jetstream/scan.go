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

// scan reads the groups of commits of a sealed journal, up to its seal. Clean says that
// its owner has sealed it itself.
func (c journals) scan(ctx context.Context, name string, seal uint64) (groups []scannedMessage, clean bool, err error) {
	subject := c.journalOf(name)
	var pieces []byte
	for next, sealed := uint64(1), false; !sealed; {
		var some []*nats.Msg
		request := fmt.Sprintf(`{"seq":%d,"next_by_subj":%q,"batch":%d,"max_bytes":%d}`, next, subject, scanMessages, scanBytes)
		err := c.ask(ctx, c.journal, request, true, func(messages []*nats.Msg) bool {
			some = messages
			return len(messages) > 0 // the seal is there: that replica is behind
		})
		if err != nil {
			return nil, false, err
		}
		for _, m := range some {
			seq := sequence(m)
			if seq > seal || len(m.Data) == 0 {
				return nil, false, fmt.Errorf("message %d of journal %s: %w", seq, name, journal.ErrDamaged)
			}
			next = seq + 1
			switch m.Data[0] {
			case kindGroup:
				groups = append(groups, scannedMessage{seq, m.Data})
			case kindOpened:
				if err := checkFormat(m.Data); err != nil {
					return nil, false, fmt.Errorf("journal %s: %w", name, err)
				}
			case kindPiece:
				p, err := readPiece(m.Data)
				if err != nil {
					return nil, false, fmt.Errorf("message %d of journal %s: %w", seq, name, err)
				}
				if p.i == 0 {
					pieces = nil
				}
				if pieces = append(pieces, p.part...); p.i == p.n-1 {
					groups = append(groups, scannedMessage{seq, pieces})
					pieces = nil
				}
			case kindSeal:
				if seq == seal {
					clean = strings.HasSuffix(string(m.Data), " "+name)
					sealed = true
				}
			case kindLease:
			default:
				return nil, false, fmt.Errorf("message %d of journal %s is of an unknown kind %q", seq, name, m.Data[0])
			}
		}
	}
	return groups, clean, nil
}

// openedMessage is the first message of a journal.
func openedMessage() []byte { return fmt.Appendf(nil, "%c%d", kindOpened, format) }

func checkFormat(opened []byte) error {
	if s := string(opened[1:]); s != fmt.Sprint(format) {
		return fmt.Errorf("it has format %s, this version reads %d", s, format)
	}
	return nil
}
