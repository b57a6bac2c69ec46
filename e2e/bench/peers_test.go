package main

import (
	"slices"
	"testing"
)

func TestAlso(t *testing.T) {
	defer func(ps []Peer) { Peers = ps }(slices.Clone(Peers))
	if err := also("old=bin/old"); err != nil {
		t.Fatal(err)
	}
	memory, err := byName("old")
	if err != nil {
		t.Fatal(err)
	}
	durable, err := byName("old-sqlite")
	if err != nil {
		t.Fatal(err)
	}
	if memory.Addr == durable.Addr {
		t.Errorf("both have the address %s", memory.Addr)
	}
	if slices.Contains(memory.Cmd, "-data") || !slices.Contains(durable.Cmd, "-data") {
		t.Errorf("commands %q and %q: want a directory for the second only", memory.Cmd, durable.Cmd)
	}
	for _, arg := range []string{"old=bin/old", "troupe=bin/old", "old", "=bin/old", "new="} {
		if also(arg) == nil {
			t.Errorf("-also %s is accepted", arg)
		}
	}
}
