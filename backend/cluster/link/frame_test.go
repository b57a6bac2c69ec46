package link

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func TestFrameGolden(t *testing.T) {
	tests := map[string]frame{
		"items":  {slot: 3, epoch: 1, n: 300, ack: 7, pieces: []piece{{data: []byte("one")}, {data: []byte{}}, {data: []byte("large"), more: true}}},
		"ack":    {slot: 1, epoch: 2, ack: 1 << 40},
		"repeat": {slot: 1, epoch: 2, ack: 4, repeat: 5},
	}
	for name, f := range tests {
		path := "testdata/" + name + ".frame"
		got := f.append(nil)
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
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
		read, err := parseFrame(want)
		if err != nil || !reflect.DeepEqual(*read, f) {
			t.Errorf("%s: got %+v, %v; want %+v", name, read, err, f)
		}
		for n := range want {
			if read, err := parseFrame(want[:n]); err == nil && len(read.pieces) == len(f.pieces) && len(f.pieces) > 0 {
				t.Errorf("%s: the first %d bytes were read as a whole frame", name, n)
			}
		}
	}
	if _, err := parseFrame([]byte{MaxFormat + 1, 1, 1, 0, 0, 0}); err == nil {
		t.Error("a frame of a newer format was read")
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, name := range []string{"items", "ack", "repeat"} {
		b, err := os.ReadFile("testdata/" + name + ".frame")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := parseFrame(b)
		if err != nil {
			return
		}
		again, err := parseFrame(read.append(nil))
		if err != nil || !reflect.DeepEqual(again, read) {
			t.Fatalf("%x: got %+v, %v; want %+v", b, again, err, read)
		}
	})
}
