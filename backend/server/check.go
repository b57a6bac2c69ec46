package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/troupe-dev/troupe/backend/actor"
	troupe "github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// CheckOptions are the options of Check.
type CheckOptions struct {
	Data     string                // the data directory of a server, or a backup
	AllItems bool                  // of each Table, not only its first and last 1,000
	Progress func(done, total int) // called after each actor; may be nil
}

// Limits of Check.
const (
	endItems  = 1_000   // at each end of a table
	maxFaults = 20      // that are described, of a definition
	itemBytes = 1 << 20 // of items that are read at once
)

// CheckReport is what Check has found.
type CheckReport struct {
	// Definitions has those of the registry and those of stored actors, by name.
	Definitions []CheckedDefinition
}

// CheckedDefinition is what Check has found in the actors of one definition.
type CheckedDefinition struct {
	Name      string
	Undefined bool           // the registry does not have it: its actors stay stored and cannot be reached
	Actors    int            // that are stored
	Newer     int            // of them: stored by a newer version of the definition
	Faulty    int            // of them: with something that does not decode, or damaged
	Faults    []CheckFault   // the first 20 of those
	Unknown   []UnknownField // by name
}

// CheckFault is what does not decode in an actor, or why it cannot be read.
type CheckFault struct {
	Actor string // its id
	Key   []string
	Text  string // with the place: messages[4].at: want a string, got number
}

// UnknownField is a stored field that the state's type does not have. It is kept.
type UnknownField struct {
	Name   string
	Actors int // that have it
}

// Check tries whether the definitions of a registry can load every actor of a store, with
// the states of connections, messages and items of Tables, before you deploy them. It changes nothing.
// A server may run on the directory meanwhile; the actors are then those of one moment. Of
// the actors' code only steps of versions and OnRestore run.
//
// Faults are in the report. An error means that the check could not be done.
func Check(ctx context.Context, registry *actor.Registry, o CheckOptions) (_ *CheckReport, err error) {
	view, err := sqlite.OpenView(ctx, o.Data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	total, err := view.Count(ctx)
	if err != nil {
		return nil, err
	}
	c := &check{trial: troupe.NewTrial(registry), view: view, options: o, found: map[string]*checked{}}
	for _, name := range registry.Names() {
		c.found[name] = &checked{CheckedDefinition: CheckedDefinition{Name: name}}
	}
	jobs := make(chan job, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for j := range jobs {
				c.try(ctx, j, false)
			}
		})
	}
	done := 0
	err = view.Actors(ctx, func(a sqlite.Viewed) bool {
		if j := (job{done, a}); a.Err == nil && len(a.Snapshot.Tables) > 0 {
			c.try(ctx, j, true) // only this goroutine may read items
		} else {
			jobs <- j
		}
		done++
		if o.Progress != nil {
			o.Progress(done, total)
		}
		return true
	})
	close(jobs)
	workers.Wait()
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", o.Data, err)
	}
	return c.report(), nil
}

// job is an actor to try; n counts them.
type job struct {
	n int
	sqlite.Viewed
}

// check is a running Check.
type check struct {
	trial   *troupe.Trial
	view    *sqlite.View
	options CheckOptions

	mu    sync.Mutex
	found map[string]*checked // by definition
}

// checked is a CheckedDefinition that grows.
type checked struct {
	CheckedDefinition
	numbers []int // of the Faults
	unknown map[string]int
}

// try tries an actor and notes what it finds, with the items if they may be read.
func (c *check) try(ctx context.Context, j job, items bool) {
	var tried troupe.Tried
	var faults []error
	if j.Err != nil {
		faults = append(faults, j.Err)
	} else {
		tried = c.trial.Load(j.Snapshot)
		faults = append(tried.Conns, tried.Messages...)
		if tried.Err != nil && !tried.Newer {
			faults = append(faults, tried.Err)
		}
		for _, t := range tried.Tables {
			if items {
				faults = append(faults, c.items(ctx, j, t)...)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.found[j.Snapshot.Name]
	if d == nil {
		d = &checked{CheckedDefinition: CheckedDefinition{Name: j.Snapshot.Name, Undefined: true}}
		c.found[d.Name] = d
	}
	d.Actors++
	if tried.Newer {
		d.Newer++
	}
	if len(faults) > 0 {
		d.Faulty++
	}
	for _, f := range faults {
		d.add(j.n, CheckFault{j.Snapshot.Actor, j.Snapshot.Key, f.Error()})
	}
	for _, name := range tried.Unknown {
		if d.unknown == nil {
			d.unknown = map[string]int{}
		}
		d.unknown[name]++
	}
}

// add keeps a fault if it is one of the first.
func (d *checked) add(n int, f CheckFault) {
	at, _ := slices.BinarySearch(d.numbers, n+1) // behind those of the same actor
	if at == maxFaults {
		return
	}
	d.numbers, d.Faults = slices.Insert(d.numbers, at, n), slices.Insert(d.Faults, at, f)
	if len(d.Faults) > maxFaults {
		d.numbers, d.Faults = d.numbers[:maxFaults], d.Faults[:maxFaults]
	}
}

// items returns what does not decode in a table: the first such item at each end.
func (c *check) items(ctx context.Context, j job, t troupe.TriedTable) (faults []error) {
	limit := endItems
	if c.options.AllItems {
		limit = math.MaxInt
	}
	for _, backward := range []bool{false, true} {
		n, err := c.someItems(ctx, j, t, backward, limit)
		if err != nil && (len(faults) == 0 || faults[0].Error() != err.Error()) {
			faults = append(faults, err)
		}
		if n < limit {
			break // these were all
		}
	}
	return faults
}

// someItems tries items from one end of a table, and returns how many there were.
func (c *check) someItems(ctx context.Context, j job, t troupe.TriedTable, backward bool, limit int) (n int, fault error) {
	r := store.ItemRange{Table: t.ID, Backward: backward, Limit: min(limit, endItems), MaxBytes: itemBytes}
	for n < limit {
		page, err := c.view.Items(ctx, j.Viewed, r)
		if err != nil {
			return n, fmt.Errorf("table %s: %w", t.Field, err)
		}
		for _, item := range page.Items {
			if err := t.Check(item); err != nil && fault == nil {
				fault = fmt.Errorf("table %s: %w", t.Field, err)
			}
		}
		n += len(page.Items)
		if !page.More || len(page.Items) == 0 {
			break
		}
		if last := page.Items[len(page.Items)-1].Key; backward {
			r.To = last
		} else {
			r.From = append(slices.Clone(last), 0)
		}
	}
	return n, fault
}

func (c *check) report() *CheckReport {
	r := &CheckReport{}
	for _, d := range c.found {
		for name, n := range d.unknown {
			d.Unknown = append(d.Unknown, UnknownField{name, n})
		}
		slices.SortFunc(d.Unknown, func(a, b UnknownField) int { return cmp.Compare(a.Name, b.Name) })
		r.Definitions = append(r.Definitions, d.CheckedDefinition)
	}
	slices.SortFunc(r.Definitions, func(a, b CheckedDefinition) int { return cmp.Compare(a.Name, b.Name) })
	return r
}

// OK reports whether the registry can load all stored actors of its definitions. Actors
// without a definition and unknown fields are no fault.
func (r *CheckReport) OK() bool {
	return !slices.ContainsFunc(r.Definitions, func(d CheckedDefinition) bool { return d.Faulty > 0 || d.Newer > 0 })
}

// String returns the report as text, with a line for each definition and indented lines
// for what was found.
func (r *CheckReport) String() string {
	var b strings.Builder
	for _, d := range r.Definitions {
		fmt.Fprintf(&b, "%s: %s", d.Name, count(d.Actors, "actor"))
		switch {
		case d.Undefined:
			b.WriteString(" without a definition: they stay stored and cannot be reached")
		case d.Newer+d.Faulty == 0 && d.Actors > 0:
			b.WriteString(", all ok")
		case d.Actors > 0:
			fmt.Fprintf(&b, ", %s ok", thousands(d.Actors-d.Newer-d.Faulty))
		}
		b.WriteByte('\n')
		if d.Newer > 0 {
			fmt.Fprintf(&b, "  %s stored by a newer version of the definition: unavailable in this one\n", thousands(d.Newer))
		}
		if d.Faulty > 0 {
			fmt.Fprintf(&b, "  %s faulty\n", thousands(d.Faulty))
		}
		for _, f := range d.Faults {
			name := actor.Key(f.Key).String()
			if f.Key == nil {
				name = "id " + f.Actor
			}
			fmt.Fprintf(&b, "    %s: %s\n", name, f.Text)
		}
		if d.Faulty > len(d.Faults) {
			b.WriteString("    …\n")
		}
		for _, u := range d.Unknown {
			fmt.Fprintf(&b, "  field %q of %s is unknown and kept\n", u.Name, count(u.Actors, "actor"))
		}
	}
	return b.String()
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands writes a number that is not negative with commas.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
