package runtime

import (
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// due returns when the life ends if the actor is not used, or when its tombstone is no longer
// needed; zero: never.
//
// It changes only if it has to: a commit that changes it is dearer. So it is between 1.1 and
// 1.2 times DestroyAfter after the newest commit, and a use that made no commit gets one
// only if it is a tenth of that after it (renew).
func (l *life) due() time.Time {
	o := &l.in.def.Options
	switch {
	case l.tombstone && len(l.in.messages.byID) > 0:
		return time.Time{} // it has messages to send
	case l.tombstone:
		end, saved := dueTime(l.ended.Add(o.CallerTTL)), l.in.messages.savedDue
		switch {
		case l.in.inbox.marks.Len() == 0:
		case !l.inquired.IsZero():
			return dueTime(l.inquired.Add(inquireAgain))
		case saved.After(end): // it has asked before it was loaded
			return saved
		}
		return end
	case o.DestroyAfter <= 0:
		return time.Time{}
	}
	first, last := l.used.Add(o.DestroyAfter/10*11), l.used.Add(o.DestroyAfter/10*12)
	if saved := l.in.messages.savedDue; !saved.Before(first) && !saved.After(last) {
		return saved
	}
	return dueTime(last)
}

// settle destroys the actor if it has been unused for DestroyAfter, forgets its tombstone if that is
// old enough, and saves when it is due next if what it was due for is over. It reports false
// if the instance was abandoned meanwhile.
func (l *life) settle() bool {
	in := l.in
	saved := in.messages.savedDue
	if saved.IsZero() {
		return true
	}
	now := in.actor.node.now()
	if now.Before(saved) || in.actor.gate.room() != nil {
		return true
	}
	end := l.due()
	ended := !end.IsZero() && !now.Before(end)
	switch {
	case l.tombstone && in.created: // another life begins
		return true
	case l.tombstone && ended:
		return l.end(now)
	case l.tombstone:
		return in.due().Equal(saved) || in.sends.commit("renew")
	case !in.stored || !ended && in.due().Equal(saved):
		return true
	case ended && len(in.conns.all) == 0 && !in.actor.lastUsed.After(l.used):
		return l.commit("DestroyAfter", (*Turn).Destroy)
	}
	return l.commit("renew", func(*Turn) {})
}

// renew saves that the actor was used, before it leaves memory, unless that was a short time
// after its newest commit. It reports false if the instance was abandoned meanwhile.
func (l *life) renew() bool {
	in := l.in
	after := in.def.Options.DestroyAfter
	if after <= 0 || !in.stored || l.over || in.actor.lastUsed.Sub(l.used) <= after/10 || in.actor.gate.room() != nil {
		return true
	}
	return l.commit("renew", func(*Turn) {})
}

// commit makes a commit without a turn of the author. It reports false if the instance was
// abandoned meanwhile.
func (l *life) commit(what string, f func(*Turn)) bool {
	t := l.in.begin(what, l.in.def.Options.ActionTimeout, nil)
	o, ok := t.execute(func() (any, error) {
		f(t)
		return nil, nil
	})
	if ok {
		l.in.apply(t, o, reply{store: true})
	}
	return ok
}

// inquireAgain is how often a tombstone asks its senders whether they need it.
const inquireAgain = time.Hour

// end forgets the tombstone, if nobody is left who would ask for it: a sender that has no
// answer to a message would have it run in the next life. It reports false if the instance
// was abandoned meanwhile.
func (l *life) end(now time.Time) bool {
	in := l.in
	if in.inbox.marks.Len() > 0 {
		l.inquired = now
		in.inbox.marks.Round()
		in.inbox.inquire(in.inbox.marks.Next())
		return in.sends.commit("inquire")
	}
	l.over = true
	in.rev++
	in.actor.gate.put(nil, &store.Commit{
		Actor: in.actor.id, Name: in.def.Name, Log: l.log, Time: now, Rev: in.rev,
		NextConn: in.conns.next, Due: store.NoDue, End: store.Forgotten,
	})
	return true
}

// asks reports whether the tombstone waits for answers of its senders.
func (l *life) asks() bool { return l.tombstone && l.in.inbox.marks.Asks() }
