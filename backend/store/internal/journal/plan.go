package journal

import (
	"slices"
	"time"
)

// Limits of the upkeep in one transaction.
const (
	SaveBytes = 4 << 20 // of snapshots
	trimRows  = 256     // unless the journal is over Limits.CapBytes
)

// SliceBytes is the size of a state, and of edits of items, over which an actor is saved
// in slices.
const SliceBytes = 1 << 20

// sliceItems is the number of edits of items, or of callers with rows, over which an actor is
// saved in slices: each may change a page of its own.
const sliceItems = 128

// sliceCallers is the size of callers over which an actor is saved in slices.
const sliceCallers = 256 << 10

// IsLarge reports whether the actor is saved in slices.
func (r *Resident) IsLarge() bool {
	return r.Record != nil && (r.Record.State.Len() > SliceBytes || r.Record.Items.Bytes() > SliceBytes || r.Record.Items.Len() > sliceItems ||
		r.hasManyCallers())
}

// hasManyCallers reports whether a snapshot of the actor may write many callers.
func (r *Resident) hasManyCallers() bool {
	if !r.Stored.CallerRows { // all of them
		return r.Record.SnapshotSize()-r.Record.State.Len() > sliceCallers
	}
	return len(r.Stored.Touched) > sliceItems || len(r.Stored.Touched) > 0 && r.Unsaved > sliceCallers
}

// Limits are how much of the journal is kept. See the options of the stores.
type Limits struct {
	Retention          time.Duration
	MaxBytes, CapBytes int64
	SaveBytes          int64 // of snapshots in one plan, or twice the bytes written if that is more
}

// Planner chooses the actors to snapshot and the rows to trim. It belongs to the writer;
// the store's mutex guards the Index while it plans.
type Planner struct {
	Limits  Limits
	Due     []*Resident // to be snapshotted soon
	Written int64       // bytes of the journal since it was last trimmed
	Stuck   bool        // the journal can no longer be trimmed
	plans   int64       // number of plans so far
}

// Upkeep is the work of a transaction besides its group: snapshots of actors, and
// trimming of the journal.
type Upkeep struct {
	Save []Saving
	Trim int // rows, the oldest ones

	Large []*Resident // to be saved in slices, outside of this transaction
}

// Saving is an actor that is being snapshotted.
type Saving struct {
	Actor *Resident
	Rev   uint64
}

// Plan chooses the snapshots that are due and, if trim is set, the rows to trim.
func (p *Planner) Plan(x *Index, trim bool, now time.Time) Upkeep {
	var u Upkeep
	budget := max(p.Limits.SaveBytes, 2*p.Written)
	for len(p.Due) > 0 && budget > 0 {
		r := p.Due[0]
		p.Due = p.Due[1:]
		r.Waiting = false
		budget -= u.AddSlice(r, now)
	}
	if trim {
		p.planTrim(&u, x, budget, now)
	}
	return u
}

// AddSlice is Add for an actor that is not in the way of anything: a large one is saved
// in slices.
func (u *Upkeep) AddSlice(r *Resident, now time.Time) int64 {
	if !r.IsLarge() {
		return u.Add(r, now)
	}
	if r.Rev != r.Saved && !r.IsBlocked(now) {
		u.Large = append(u.Large, r)
	}
	return 0
}

// Add adds an actor to those that are saved, and returns about how many bytes that
// takes. Hold the store's mutex.
func (u *Upkeep) Add(r *Resident, now time.Time) int64 {
	if r.Rev == r.Saved || r.IsBlocked(now) {
		return 0
	}
	u.Save = append(u.Save, Saving{r, r.Rev})
	if r.Record == nil { // it must be read first
		return 16 << 10
	}
	return 1<<10 + r.dirty
}

// planTrim adds the oldest rows of the journal that are over a limit, and the
// snapshots that must be written before those rows are deleted.
func (p *Planner) planTrim(u *Upkeep, x *Index, budget int64, now time.Time) {
	if p.Stuck {
		return
	}
	p.plans++
	p.Written = 0
	for _, saved := range u.Save {
		saved.Actor.plan, saved.Actor.planned, saved.Actor.trimmed = p.plans, true, 0
	}
	limit := min(max(p.Limits.MaxBytes, 2*x.Dirty), p.Limits.CapBytes)
	bytes := x.Bytes
	for _, row := range x.Rows {
		if bytes <= limit && now.Sub(row.At) <= p.Limits.Retention {
			return
		}
		must := bytes > p.Limits.CapBytes // regardless of the budget
		if u.Trim >= trimRows && !must {
			return
		}
		for _, r := range row.Actors {
			if r.plan != p.plans {
				r.plan, r.planned, r.trimmed = p.plans, false, 0
			}
			r.trimmed++
			if !r.planned && r.First()+uint64(r.trimmed)-1 > r.Saved {
				if budget <= 0 && !must || r.IsBlocked(now) {
					return
				}
				if r.IsLarge() && !must {
					u.Large = append(u.Large, r)
					return
				}
				r.planned = true
				budget -= u.Add(r, now)
			}
		}
		bytes -= row.Bytes
		u.Trim++
	}
}

// Drop drops the actors that are blocked. If there are any it also drops the trimming:
// their commits may have to stay.
func (u *Upkeep) Drop(now time.Time) {
	n := len(u.Save)
	if u.Save = slices.DeleteFunc(u.Save, func(s Saving) bool { return s.Actor.IsBlocked(now) }); len(u.Save) < n {
		u.Trim = 0
	}
}
