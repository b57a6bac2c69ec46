package jetstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
)

// actorPages are the pages of an actor's tables. A page is a message, and its subject has
// its name and 0. If it is too long for one, that message begins with a zero byte, in
// place of the page's format, and has the number of further messages that have it: 1, 2, …
type actorPages struct {
	*heads
	actor   string
	patient bool // Get waits for pages that are not there: they must be
}

var _ pages.Pages = actorPages{}

const inPieces = 0

// Get implements pages.Pages. Any replica may answer: a page never changes. One that is not
// there may have been deleted, or not have reached that replica.
func (p actorPages) Get(ctx context.Context, names []pages.Name) ([][]byte, error) {
	found := make([][]byte, len(names))
	var ask []pages.Name
	for i, n := range names {
		if found[i] = p.directories.get(p.actor, n); found[i] == nil {
			ask = append(ask, n)
		}
	}
	if len(ask) == 0 {
		return found, nil
	}
	read, err := p.read(ctx, ask)
	if err != nil {
		return nil, err
	}
	for i, n := range names {
		if found[i] == nil {
			found[i], read = read[0], read[1:]
			p.directories.put(p.actor, n, found[i])
		}
	}
	return found, nil
}

// read reads pages from the stream.
func (p actorPages) read(ctx context.Context, names []pages.Name) ([][]byte, error) {
	subjects := make([]string, len(names))
	for i, n := range names {
		subjects[i] = p.page(p.actor, n, 0)
	}
	found, err := p.get(ctx, subjects)
	if err != nil {
		return nil, err
	}
	for i, data := range found {
		if len(data) == 0 || data[0] != inPieces {
			continue
		}
		n, _ := binary.Uvarint(data[1:])
		subjects := make([]string, n)
		for j := range subjects {
			subjects[j] = p.page(p.actor, names[i], j+1)
		}
		pieces, err := p.get(ctx, subjects)
		if err != nil {
			return nil, err
		}
		found[i] = slices.Concat(pieces...)
		if slices.ContainsFunc(pieces, func(b []byte) bool { return b == nil }) {
			found[i] = nil
		}
	}
	return found, nil
}

func (p actorPages) get(ctx context.Context, subjects []string) ([][]byte, error) {
	found := make([][]byte, len(subjects))
	request := `{"multi_last":["` + strings.Join(subjects, `","`) + `"]}`
	begin, tries := time.Now(), 0
	err := p.ask(ctx, p.items, request, true, func(messages []*nats.Msg) bool {
		missing := len(subjects)
		clear(found)
		for _, m := range messages {
			if i := slices.Index(subjects, m.Header.Get(jetstream.SubjectHeader)); i >= 0 {
				found[i] = m.Data
				missing--
			}
		}
		tries++
		const enough = 3
		return missing == 0 || !p.patient && tries == enough || time.Since(begin) > p.timeout/2
	})
	return found, err
}

// Put implements pages.Pages.
func (p actorPages) Put(ctx context.Context, all []pages.Page) error {
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, page := range all {
		wg.Go(func() { errs[i] = p.put(ctx, page) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p actorPages) put(ctx context.Context, page pages.Page) error {
	data := page.Data
	if len(data) > p.longest {
		n := 0
		for piece := range slices.Chunk(data, p.longest) {
			n++
			if err := p.store(ctx, p.page(p.actor, page.Name, n), piece); err != nil {
				return err
			}
		}
		data = binary.AppendUvarint([]byte{inPieces}, uint64(n))
	}
	return p.store(ctx, p.page(p.actor, page.Name, 0), data)
}

func (p actorPages) store(ctx context.Context, subject string, data []byte) error {
	if err := p.before("page"); err != nil {
		return err
	}
	return p.retry(ctx, func(ctx context.Context) (bool, error) {
		if p.own.deposed.Load() {
			return true, errDeposed
		}
		_, err := p.publish(ctx, &nats.Msg{Subject: subject, Data: data})
		if full := definite(err); full != nil {
			return true, full
		}
		return false, err
	})
}

// deleting is how many pages are deleted at the same time.
const deleting = 32

// Delete implements pages.Pages. It purges them one by one: a purge of all that an actor
// has, if it is late, could take the pages of the next owner.
func (p actorPages) Delete(ctx context.Context, names []pages.Name) error {
	if len(names) == 0 {
		return nil
	}
	s, err := p.js.Stream(ctx, p.items)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(names, deleting) {
		var wg sync.WaitGroup
		errs := make([]error, len(some))
		for i, n := range some {
			wg.Go(func() {
				if errs[i] = p.before("delete"); errs[i] != nil {
					return
				}
				errs[i] = p.retry(ctx, func(ctx context.Context) (bool, error) {
					return false, s.Purge(ctx, jetstream.WithPurgeSubject(p.allOf(p.actor, n)))
				})
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

// List implements pages.Pages.
func (p actorPages) List(ctx context.Context) (names []pages.Name, err error) {
	var info *jetstream.StreamInfo
	err = p.retry(ctx, func(ctx context.Context) (bool, error) {
		s, err := p.js.Stream(ctx, p.items)
		if err != nil {
			return false, err
		}
		info, err = s.Info(ctx, jetstream.WithSubjectFilter(p.pages(p.actor)))
		return false, err
	})
	if err != nil {
		return nil, err
	}
	seen := map[pages.Name]bool{}
	for subject := range info.State.Subjects {
		name, err := pages.ParseName(lastToken(strings.TrimSuffix(subject, "."+lastToken(subject))))
		if err != nil {
			return nil, fmt.Errorf("the subject %s: %w: %w", subject, journal.ErrDamaged, err)
		}
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, nil
}
