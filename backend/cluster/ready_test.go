package cluster

import "testing"

// TestReadyOncePerIncarnation looks at a node that waits for a partition. Before it was ready that
// counts, also while another node still owns the partition; afterwards it does not.
func TestReadyOncePerIncarnation(t *testing.T) {
	c := startWebNodes(t, natsServer(t), "a")[0].cluster // it was ready
	const part = 7
	m := c.member
	has := m.since[part].Swap(nil)
	if err := c.Ready(); err != nil {
		t.Errorf("while it takes a partition over, a node that was ready is not: %v", err)
	}
	c.ready.Store(0)
	if err := c.Ready(); err != errAdopting {
		t.Errorf("got %v from a node that takes its first partitions, want %v", err, errAdopting)
	}
	mine := m.view.Load()
	theirs := mine.table.clone()
	theirs.Owner[part] = mine.slot + 1
	m.view.Store(&view{theirs, mine.slot})
	if err := c.Ready(); err != errAdopting {
		t.Errorf("got %v from a node that gets its partitions soon, want %v", err, errAdopting)
	}
	m.view.Store(mine)
	m.since[part].Store(has)
	if err := c.Ready(); err != nil {
		t.Errorf("got %v from a node that has all of its partitions", err)
	}
	m.since[part].Store(nil)
	m.view.Store(&view{mine.table, mine.slot + 1})
	if err := c.Ready(); err != nil {
		t.Errorf("got %v from a new incarnation for which nothing is meant", err)
	}
	m.view.Store(mine)
	m.since[part].Store(has)
}
