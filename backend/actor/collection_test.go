package actor_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
)

func TestCollectionsOfNoActor(t *testing.T) {
	var l actor.List[string]
	var m actor.Map[uint16, string]
	if got := marshal(t, []any{l, m, l.Len(), m.Len(), l.Size(), m.Size(), l.Slice(0, 0)}); got != `[[],{},0,0,2,2,[]]` {
		t.Errorf("empty ones: got %s", got)
	}
	if _, ok := m.Get(1); ok {
		t.Error("got a value of an empty map")
	}
	m.Delete(1)
	l.Append("a", "b", "c")
	l.Set(1, "<é>")
	for key := range uint16(12) {
		m.Set(11-key, fmt.Sprint(key))
	}
	for key := range m.From(10) {
		if key < 10 { // they are in the order of numbers, not of texts
			t.Errorf("got key %d from 10 on", key)
		}
	}
	m.Delete(0)
	var l2 actor.List[string]
	var m2 actor.Map[uint16, string]
	for from, to := range map[any]any{&l: &l2, &m: &m2} {
		text := marshal(t, from)
		if err := json.Unmarshal([]byte(" "+strings.ReplaceAll(text, ",", " , ")), to); err != nil {
			t.Error(err)
		}
		if got := marshal(t, to); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
	}
	if err := json.Unmarshal([]byte(`[1]`), &l2); err == nil || l2.Len() != 3 {
		t.Errorf("a list of numbers: got %v and %d items, want an error and what was there", err, l2.Len())
	}
	if err := json.Unmarshal([]byte(`{"a":"b"}`), &m2); err == nil {
		t.Error("a key that is no number: want an error")
	}
}

func TestDeleteFunc(t *testing.T) {
	var l actor.List[int]
	var m actor.Map[int, int]
	for i := range 600 {
		l.Append(i)
		m.Set(i, i*i)
	}
	odd := func(i int) bool { return i%2 == 1 || i > 20 && i < 590 }
	l.DeleteFunc(odd)
	m.DeleteFunc(func(key, square int) bool { return square == key*key && odd(key) })
	want := []int{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 590, 592, 594, 596, 598}
	if got := l.Values(); !slices.Equal(got, want) {
		t.Errorf("list: got %v", got)
	}
	if got := slices.Sorted(maps.Keys(maps.Collect(m.All()))); !slices.Equal(got, want) {
		t.Errorf("map: got %v", got)
	}
	l.Clear()
	if l.Len() != 0 || l.Size() != 2 {
		t.Errorf("after Clear: %d items", l.Len())
	}
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
