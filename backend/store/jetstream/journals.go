package jetstream

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store"
)

// journals reads the journals of all incarnations, and ends and removes those of others.
type journals struct{ *client }

// from returns the first message of a journal from a sequence on, of a replica that has it
// or a later one.
func (c journals) from(ctx context.Context, subject string, seq uint64) (m *nats.Msg, err error) {
	const enough = 5
	for begin := time.Now(); ; {
		tries := 0
		err := c.ask(ctx, c.journal, fmt.Sprintf(`{"seq":%d,"next_by_subj":%q}`, seq, subject), false, func(messages []*nats.Msg) bool {
			if len(messages) == 1 {
				m = messages[0]
			}
			tries++
			return m != nil || tries == enough
		})
		if err != nil || m != nil {
			return m, err
		}
		// A journal always has a last message, unless it was removed: those replicas are behind.
		last, _, err := c.leaderLast(ctx, c.journal, subject)
		if err == nil && last == 0 {
			return nil, errTrimmed
		}
		if time.Since(begin) > c.timeout {
			return nil, fmt.Errorf("message %d of %s: %w", seq, subject, cmp.Or(err, errNoAnswer))
		}
	}
}

// fetch reads a message of a journal. The error is errTrimmed if it is no longer there.
func (c journals) fetch(ctx context.Context, subject string, seq uint64) ([]byte, error) {
	m, err := c.from(ctx, subject, seq)
	if err != nil {
		return nil, err
	}
	if sequence(m) != seq {
		return nil, errTrimmed
	}
	if len(m.Data) == 0 || m.Data[0] != kindPiece {
		return m.Data, nil
	}
	last, err := readPiece(m.Data)
	if err != nil {
		return nil, err
	}
	var pieces pieces
	for at := last.first; at < seq; at++ {
		if m, err = c.from(ctx, subject, at); err != nil {
			return nil, err
		}
		if at = sequence(m); at >= seq {
			break
		}
		p, err := readPiece(m.Data)
		if err != nil {
			return nil, err
		}
		pieces.add(at, p)
	}
	if message := pieces.add(seq, last); message != nil {
		return message, nil
	}
	return nil, errTrimmed
}

// last returns a journal's newest message. See Store.Last.
func (c journals) last(ctx context.Context, journal string) (last LastMessage, err error) {
	err = c.retry(ctx, func(ctx context.Context) (bool, error) {
		m, err := c.leaderMessage(ctx, c.journal, c.journalOf(journal))
		if err != nil {
			return false, err
		}
		headers := nats.Header{}
		if len(m.Header) > 0 {
			if headers, err = nats.DecodeHeadersMsg(m.Header); err != nil {
				return true, fmt.Errorf("the newest message of journal %s: %w", journal, err)
			}
		}
		last = lastMessage(m.Seq, m.Data, headers)
		return true, nil
	})
	return last, err
}

func lastMessage(seq uint64, data []byte, headers nats.Header) LastMessage {
	return LastMessage{seq, len(data) > 0 && data[0] == kindSeal, sentAt(headers)}
}

// seen returns a journal's newest message as some replica has it. See Store.LastSeen.
func (c journals) seen(ctx context.Context, journal string) (last LastMessage, err error) {
	err = c.ask(ctx, c.journal, fmt.Sprintf(`{"last_by_subj":%q}`, c.journalOf(journal)), false, func(messages []*nats.Msg) bool {
		for _, m := range messages {
			last = lastMessage(sequence(m), m.Data, m.Header)
		}
		return true
	})
	return last, err
}

// journalSeal is the message that ends a journal: whose it is, and who has written it.
func journalSeal(journal, by string) []byte {
	return fmt.Appendf(nil, "%c%s %s", kindSeal, journal, by)
}

func (c journals) seal(ctx context.Context, journal string, newest uint64, data []byte) (seal uint64, err error) {
	err = c.retry(ctx, func(ctx context.Context) (bool, error) {
		seal, _, err = c.publishAgain(ctx, expect(&nats.Msg{Subject: c.journalOf(journal), Data: data}, newest))
		if code(err) != codeWrongLast {
			return false, err
		}
		last, lookErr := c.last(ctx, journal)
		if lookErr != nil {
			return false, lookErr
		}
		if last.Sealed {
			seal = last.Seq
			return true, nil
		}
		return last.Seq != newest, fmt.Errorf("the newest message of journal %s is %d: %w", journal, last.Seq, store.ErrConflict)
	})
	return seal, err
}

// purge removes the messages of a journal up to a sequence.
func (c journals) purge(ctx context.Context, subject string, upTo uint64) error {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	s, err := c.js.Stream(ctx, c.journal)
	if err != nil {
		return err
	}
	return s.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(upTo+1))
}

// remove removes a sealed journal. Its incarnation's barrier goes first: nobody would find it
// without the journal.
func (c journals) remove(ctx context.Context, j Journal) error {
	state, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	s, err := c.js.Stream(state, c.state)
	if err != nil {
		return err
	}
	if err := s.Purge(state, jetstream.WithPurgeSubject(c.barrier(j.Name))); err != nil {
		return err
	}
	return c.purge(ctx, c.journalOf(j.Name), j.UpTo)
}

// all returns the journals that have messages.
func (c journals) all(ctx context.Context) (all []string, err error) {
	err = c.retry(ctx, func(ctx context.Context) (bool, error) {
		s, err := c.js.Stream(ctx, c.journal)
		if err != nil {
			return false, err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter(c.journalOf("*")))
		if err != nil {
			return false, err
		}
		all = all[:0]
		for subject := range info.State.Subjects {
			all = append(all, strings.TrimPrefix(subject, c.journalOf("")))
		}
		slices.Sort(all)
		return true, nil
	})
	return all, err
}
