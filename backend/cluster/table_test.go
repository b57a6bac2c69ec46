package cluster

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", path, got, want)
	}
}

func testNode(name string, version int) node {
	return node{Inc: fmt.Sprintf("%s-%d", name, version), Name: name, Proto: [2]int{1, 1}, Contract: "c", Versions: map[string]int{"chat": version}, Lease: simLease}
}

// joined returns a table that nodes with these names have joined.
func joined(t *testing.T, names ...string) *table {
	t.Helper()
	table := newTable()
	for _, name := range names {
		if err := table.join(testNode(name, 1)); err != nil {
			t.Fatal(err)
		}
		settle(table)
	}
	return table
}

// settle moves all partitions to where they should be, and returns how many had to move.
func settle(table *table) int {
	n := 0
	for p := range store.Partitions {
		if table.Owner[p] != table.Want[p] {
			n++
			table.give(table.Owner[p], []int{p}, nil, time.Now())
		}
	}
	return n
}

func counts(table *table) map[uint32]int {
	n := map[uint32]int{}
	for _, slot := range table.Want {
		n[slot]++
	}
	return n
}

func TestTableGolden(t *testing.T) {
	table := joined(t, "a", "b")
	table.seal(1, 99)
	table.Nodes[1].Changes, table.Version = 3, 4
	golden(t, "table.json", table.encode())
	read, err := parseTable(table.encode())
	if err != nil || !bytes.Equal(read.encode(), table.encode()) {
		t.Errorf("got %v and %s back", err, read.encode())
	}
}

func TestParseTableRefusesDamage(t *testing.T) {
	tests := map[string]func(*table){
		"a newer format":            func(t *table) { t.Format = 2 },
		"too few partitions":        func(t *table) { t.Owner = t.Owner[1:] },
		"an owner without a node":   func(t *table) { t.Owner[3] = 9 },
		"a slot of the future":      func(t *table) { t.Next = 1 },
		"two nodes of one slot":     func(t *table) { t.Nodes = append(t.Nodes, t.Nodes[0]) },
		"an unknown state":          func(t *table) { t.Nodes[0].State = "asleep" },
		"debts of no node":          func(t *table) { t.Debts = map[uint32][]int{8: {1}} },
		"a partition out of range":  func(t *table) { t.Past = map[uint32][]int{1: {256}} },
		"a dead partition too many": func(t *table) { t.Died[256] = 0 },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			table := joined(t, "a", "b")
			damage(table)
			if _, err := parseTable(table.encode()); err == nil {
				t.Error("it was read")
			}
		})
	}
}

// A partition of a dead node is one until somebody who has had it for a while gives it away. Who does so
// sooner says up to when its messages may be why the node died, unless somebody did before.
func TestG12_WhoseOwnerHasDied(t *testing.T) {
	table := joined(t, "a", "b")
	of := table.owned(1)
	now := time.Now()
	want := func(when string, mine []int, until time.Time) {
		t.Helper()
		for _, p := range of {
			want := until
			if !slices.Contains(mine, p) {
				want = now // no owner has given it away yet
			}
			if got := table.doubted(p, now); !got.Equal(want.Truncate(time.Microsecond)) && !got.Equal(want) {
				t.Fatalf("%s: partition %d is doubted until %v, want %v", when, p, got, want)
			}
		}
	}
	adopted := func(parts []int, since time.Duration) map[int]time.Time {
		at := map[int]time.Time{}
		for _, p := range parts {
			at[p] = now.Add(-since)
		}
		return at
	}
	table.seal(1, 5)
	want("at its end", nil, now)
	if err := table.join(testNode("c", 1)); err != nil {
		t.Fatal(err)
	}
	table.give(2, of, nil, time.Now())
	want("given away before they were adopted", nil, now)
	mine := table.owned(3)
	table.leave(3)
	table.give(3, mine, adopted(mine, doubtFor/2), time.Now())
	want("given away soon", mine, now.Add(-doubtFor/2))
	if err := table.join(testNode("d", 1)); err != nil {
		t.Fatal(err)
	}
	next := slices.DeleteFunc(table.owned(2), func(p int) bool { return table.Want[p] != 4 || !slices.Contains(mine, p) })
	rest := slices.DeleteFunc(slices.Clone(mine), func(p int) bool { return slices.Contains(next, p) })
	table.give(2, next, adopted(next, time.Second), time.Now())
	want("given away soon again", mine, now.Add(-doubtFor/2))
	if len(next) < 2 {
		t.Fatalf("the last node has %v of %v", next, mine)
	}
	table.leave(4)
	table.give(4, next[:1], adopted(next, doubtFor), time.Now())
	if at := table.doubted(next[0], now); !at.IsZero() {
		t.Errorf("given away after a while: it is doubted until %v", at)
	}
	table.seal(4, 6)
	for _, p := range next[1:] {
		if at := table.doubted(p, now); !at.Equal(now) {
			t.Errorf("after another death: it is doubted until %v", at)
		}
	}
	mine = slices.DeleteFunc(rest, func(p int) bool { return table.Owner[p] != 2 })
	for _, p := range mine {
		if at := table.doubted(p, now); !at.Equal(time.UnixMicro(now.Add(-doubtFor / 2).UnixMicro())) {
			t.Errorf("after the death of another: it is doubted until %v", at)
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add(newTable().encode())
	golden, err := os.ReadFile("testdata/table.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := parseTable(data)
		if err != nil {
			return
		}
		again, err := parseTable(table.encode())
		if err != nil || !bytes.Equal(again.encode(), table.encode()) {
			t.Fatalf("%s: got %v", data, err)
		}
		for _, n := range table.Nodes { // none of the edits panics
			table.seal(n.Slot, 1)
			table.forget(n.Slot)
		}
	})
}

func TestWantIsBalancedAndMovesLittle(t *testing.T) {
	table := joined(t, "a", "b", "c")
	for slot, n := range counts(table) {
		if n < 85 || n > 86 {
			t.Errorf("slot %d has %d partitions", slot, n)
		}
	}
	before := slices.Clone(table.Owner)
	if err := table.join(testNode("d", 1)); err != nil {
		t.Fatal(err)
	}
	if n := settle(table); n != 64 {
		t.Errorf("a fourth node moved %d partitions, want 64", n)
	}
	mine := table.owned(4)
	table.leave(4)
	if n := settle(table); n != 64 {
		t.Errorf("its leaving moved %d partitions, want 64", n)
	}
	back := 0
	for p := range before {
		if before[p] == table.Owner[p] {
			back++
		}
	}
	if err := table.join(testNode("d", 2)); err != nil {
		t.Fatal(err)
	}
	settle(table)
	same := 0
	for _, p := range mine {
		if table.Owner[p] == 5 {
			same++
		}
	}
	if same < 40 {
		t.Errorf("only %d of 64 partitions are back at the node of the same name; %d had gone back", same, back)
	}
}

func TestAPartitionDoesNotGoBackToAnOldVersion(t *testing.T) {
	table := joined(t, "a", "b")
	table.leave(2)
	settle(table)
	if err := table.join(testNode("b", 2)); err != nil {
		t.Fatal(err)
	}
	settle(table)
	newer := table.owned(3)
	if len(newer) != 128 {
		t.Fatalf("the newer node has %d partitions, want 128", len(newer))
	}
	if err := table.join(testNode("c", 1)); err != nil {
		t.Fatal(err)
	}
	settle(table)
	for _, p := range newer {
		if table.Owner[p] != 3 {
			t.Fatalf("partition %d went from version 2 to slot %d", p, table.Owner[p])
		}
	}
	if err := table.join(testNode("d", 2)); err != nil {
		t.Fatal(err)
	}
	settle(table)
	newer = table.owned(3)
	table.seal(3, 7)
	for _, p := range newer {
		if table.Owner[p] != 5 {
			t.Fatalf("partition %d of a dead node with version 2 went to slot %d", p, table.Owner[p])
		}
	}
	newer = table.owned(5)
	table.seal(5, 8) // nobody else has version 2
	for _, p := range newer {
		if owner := table.Owner[p]; owner != 1 && owner != 4 {
			t.Fatalf("partition %d belongs to slot %d: want an older node rather than none", p, owner)
		}
	}
}

func TestCheckJoin(t *testing.T) {
	table := joined(t, "a", "b")
	if err := table.join(testNode("b", 2)); err == nil {
		t.Error("two nodes of one name are up")
	}
	table.seal(2, 1)
	if err := table.join(testNode("b", 2)); err != nil {
		t.Error(err)
	}
	other := testNode("c", 2)
	other.Proto = [2]int{2, 3}
	if err := table.join(other); err == nil {
		t.Error("a node joined that speaks no format of the others")
	}
}

// TestTableKeepsItsInvariants makes random edits: every partition that some node can act for
// has such an owner, the journals of dead nodes are kept while somebody needs them, and
// an owner knows of every journal that may have entries of its partitions.
func TestTableKeepsItsInvariants(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		table, joins := newTable(), 0
		journals := make([]map[uint32]bool, store.Partitions) // that have entries of the partition
		for p := range journals {
			journals[p] = map[uint32]bool{}
		}
		for range 60 {
			for p, owner := range table.Owner {
				if n := table.slot(owner); n != nil && n.State != sealed && r.IntN(2) == 0 {
					journals[p][owner] = true
				}
			}
			past := cloneParts(table.Past)
			edit(r, table, &joins)
			for slot, parts := range past { // passed: the entries are too old
				for _, p := range parts {
					if len(table.Past[slot]) == 0 && table.Owner[p] != slot {
						delete(journals[p], slot)
					}
				}
			}
			checkTable(t, table)
			for p, has := range journals {
				for slot := range has {
					if table.Owner[p] != slot && table.slot(slot) != nil && !slices.Contains(table.Past[slot], p) {
						t.Fatalf("partition %d: the journal of slot %d has entries that owner %d does not know of", p, slot, table.Owner[p])
					}
				}
			}
			if _, err := parseTable(table.encode()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// edit makes a random edit.
func edit(r *rand.Rand, table *table, joins *int) {
	slot := uint32(r.IntN(int(table.Next)))
	adopted := map[int]time.Time{}
	for range r.IntN(store.Partitions) {
		adopted[r.IntN(store.Partitions)] = time.Now().Add(-time.Duration(r.IntN(2)) * time.Hour)
	}
	switch r.IntN(7) {
	case 0:
		*joins++
		_ = table.join(testNode(string(rune('a'+r.IntN(5))), *joins))
	case 1:
		table.leave(slot)
	case 2:
		table.seal(slot, 5)
	case 3:
		table.give(slot, table.owned(slot)[:min(16, len(table.owned(slot)))], adopted, time.Now())
	case 4:
		for of, parts := range cloneParts(table.Debts) {
			if n := table.slot(slot); n != nil && n.State != sealed {
				table.saved(slot, of, parts)
			}
		}
	case 5:
		table.forget(slot)
	case 6: // the window of what it has given away is over
		if n := table.slot(slot); n != nil && n.State == up {
			table.passed(slot, slices.Clone(table.Past[slot]))
		}
	}
}

func checkTable(t *testing.T, table *table) {
	t.Helper()
	ups := 0
	for _, n := range table.Nodes {
		if n.State == up {
			ups++
		}
	}
	for p, owner := range table.Owner {
		n := table.slot(owner)
		if ups > 0 && (n == nil || n.State == sealed) {
			t.Fatalf("partition %d belongs to slot %d, which cannot act", p, owner)
		}
		if want := table.slot(table.Want[p]); ups > 0 && (want == nil || want.State != up) {
			t.Fatalf("partition %d should go to slot %d, which is not up", p, table.Want[p])
		}
		if n != nil && owner != table.Want[p] && n.State == up {
			if w := table.slot(table.Want[p]); w != nil && !table.mayMove(p, w) {
				t.Fatalf("partition %d should go from slot %d back to an older version, slot %d", p, owner, w.Slot)
			}
		}
	}
}
