package delta_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/internal/delta"
)

func TestAppend(t *testing.T) {
	long := strings.Repeat("abcdefghij", 10)
	tests := []struct {
		name       string
		base, next string
		want       string // "": too long
	}{
		{"nothing changed", long, long, `[]`},
		{"something at the end", long + "]", long + ",1]", `[100,",1"]`},
		{"the end is gone", long + "xyz", long, `[100,-3]`},
		{"the start is gone", "xyz" + long, long, `[-3]`},
		{"the same, longer", long + "1}", long + "12}", `[101,"2"]`},
		{"a counter", `{"n":41,"x":"` + long + `"}`, `{"n":42,"x":"` + long + `"}`, `[6,-1,"2"]`},
		{
			"a list that moves on", `{"l":["first","` + long + `"]}`, `{"l":["` + long + `","last"]}`,
			`[7,-8,100,"\",\"last"]`,
		},
		{
			"two changes", `{"a":1,"x":"` + long + `","b":1}`, `{"a":2,"x":"` + long + `","b":22}`,
			`[5,-1,"2",112,-1,"22"]`,
		},
		{"escapes", long + "]", long + "\"\\\n]", `[100,"\"\\\u000a"]`},
		{"whole characters", long + `"é"` + long, long + `"è"` + long, `[101,-2,"è"]`},
		{"all is different", strings.Repeat("a", 200), strings.Repeat("b", 200), ``},
		{"from nothing", ``, long + long, ``},
		{"short texts", `{}`, `{"a":1}`, `[1,"\"a\":1"]`},
		{"to nothing", long, ``, `[-100]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := delta.Append([]byte("x"), []byte(test.base), []byte(test.next))
			if want := "x" + test.want; string(got) != want || ok != (test.want != "") {
				t.Fatalf("got %s, %t; want %s", got, ok, want)
			}
			if !ok {
				return
			}
			if !json.Valid(got[1:]) {
				t.Errorf("%s is not JSON", got[1:])
			}
			applied, err := delta.Apply([]byte(test.base), got[1:])
			if err != nil || string(applied) != test.next {
				t.Errorf("applied: got %q, %v; want %q", applied, err, test.next)
			}
		})
	}
}

func TestApply_malformed(t *testing.T) {
	for _, d := range []string{
		``, `[`, `]`, `{}`, `null`, `[1`, `[1,`, `[1,]`, `[,1]`, `[0]`, `[11]`, `[-11]`, `[5,6]`, `[1 2]`, `["a]`, `["a\]`, `["\x"]`, `["\u00"]`,
		`["\u0041"]`, `["a"1]`, `[1.5]`, `[true]`, `[9223372036854775807]`, `[-9223372036854775808]`, `[1]]`, `[[1]]`, `[1] `,
	} {
		if got, err := delta.Apply([]byte("0123456789"), []byte(d)); err == nil {
			t.Errorf("Apply of %s: got %q, want an error", d, got)
		}
	}
}

// Find returns correct edits, also where Append gives up.
func TestFind(t *testing.T) {
	apply := func(text string, edits []delta.Edit) string {
		for _, e := range edits {
			text = text[:e.At] + string(e.Put) + text[e.At+e.Cut:]
		}
		return text
	}
	r := rand.New(rand.NewPCG(4, 4))
	parts := []string{strings.Repeat("é", 20), strings.Repeat("abc", 20), "1", "ö", "", strings.Repeat("xyzä", 30)}
	for range 2000 {
		var base, next string
		for range r.IntN(8) {
			part := parts[r.IntN(len(parts))]
			switch r.IntN(4) {
			case 0:
				base += part
			case 1:
				next += part
			default:
				base, next = base+part, next+part
			}
		}
		edits := delta.Find([]byte(base), []byte(next))
		if got := apply(base, edits); got != next {
			t.Fatalf("from %q: got %q, want %q", base, got, next)
		}
		for _, e := range edits {
			if !utf8.Valid(e.Put) {
				t.Errorf("a part of a character is put: %q", e.Put)
			}
		}
	}
	noise := func() string {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 'a' + byte(r.IntN(26))
		}
		return "start" + string(b) + "end"
	}
	base, next := noise(), noise()
	if got := apply(base, delta.Find([]byte(base), []byte(next))); got != next {
		t.Error("noise: it is another text")
	}
}

// state is JSON of about size bytes: a counter, a map and a list.
func state(size int) map[string]any {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	scores, list := map[string]any{}, []any{}
	for n := 0; n < size; n += 150 {
		scores[fmt.Sprint("player", n)] = r.IntN(1000)
		list = append(list, message(r))
	}
	return map[string]any{"counter": 41, "messages": list, "scores": scores}
}

func message(r *rand.Rand) any {
	return map[string]any{"id": fmt.Sprintf("%016x", r.Uint64()), "text": strings.Repeat("wörd ", r.IntN(20)), "at": r.IntN(1 << 40)}
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The delta of a usual change does not grow with the state.
func TestAppend_isShort(t *testing.T) {
	changes := []struct {
		name   string
		change func(s map[string]any)
		most   int
	}{
		{"a counter", func(s map[string]any) { s["counter"] = 42 }, 30},
		{"an appended message", func(s map[string]any) {
			s["messages"] = append(s["messages"].([]any), message(rand.New(rand.NewPCG(2, 2))))
		}, 400},
		{"a list that moves on", func(s map[string]any) {
			s["messages"] = append(s["messages"].([]any)[1:], message(rand.New(rand.NewPCG(2, 2))))
		}, 450},
		{"two keys of a map", func(s map[string]any) {
			s["scores"].(map[string]any)["player0"] = -1
			s["scores"].(map[string]any)["player750"] = -2
		}, 80},
		{"all of it", func(s map[string]any) {
			s["counter"] = 42
			s["messages"] = append(s["messages"].([]any)[1:], message(rand.New(rand.NewPCG(2, 2))))
			s["scores"].(map[string]any)["player150"] = -1
		}, 550},
	}
	for _, size := range []int{1000, 15_000, 100_000, 1_000_000} {
		for _, change := range changes {
			t.Run(fmt.Sprint(size, " bytes, ", change.name), func(t *testing.T) {
				s := state(size)
				base := encode(t, s)
				change.change(s)
				next := encode(t, s)
				got, ok := delta.Append(nil, base, next)
				if !ok || len(got) > change.most {
					t.Fatalf("got %d bytes, %t; want at most %d: %.600s", len(got), ok, change.most, got)
				}
				if applied, err := delta.Apply(base, got); err != nil || !bytes.Equal(applied, next) {
					t.Errorf("applied: got %.100s, %v; want %.100s", applied, err, next)
				}
			})
		}
	}
}

// The search in texts that have nothing in common ends at its limit.
func TestAppend_givesUp(t *testing.T) {
	base, next := make([]byte, 1<<20), make([]byte, 1<<20)
	r := rand.New(rand.NewPCG(3, 3))
	for i := range base {
		base[i], next[i] = 'a'+byte(r.IntN(26)), 'a'+byte(r.IntN(26))
	}
	if got, ok := delta.Append(nil, base, next); ok {
		t.Errorf("got %d bytes, want none", len(got))
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte(`{"a":2,"b":"é"}`))
	f.Add([]byte(strings.Repeat("äöü", 50)), []byte("x"+strings.Repeat("äöü", 49)+"\xc3"))
	f.Add([]byte(strings.Repeat("\x80", 50)), []byte(strings.Repeat("\x80", 60)))
	f.Fuzz(func(t *testing.T, base, next []byte) {
		got, ok := delta.Append(nil, base, next)
		if !ok {
			return
		}
		if len(got) > len(next)/2+64 {
			t.Errorf("got %d bytes for %d", len(got), len(next))
		}
		if utf8.Valid(base) && utf8.Valid(next) && !json.Valid(got) {
			t.Errorf("%q is not JSON", got)
		}
		if utf8.Valid(base) && utf8.Valid(next) && !utf8.Valid(got) {
			t.Errorf("%q cuts characters", got)
		}
		applied, err := delta.Apply(base, got)
		if err != nil || !bytes.Equal(applied, next) {
			t.Errorf("%q applied to %q: got %q, %v; want %q", got, base, applied, err, next)
		}
	})
}

func FuzzApply(f *testing.F) {
	f.Add([]byte("0123456789"), []byte(`[3,-2,"a\"\\\u000a",1]`))
	f.Fuzz(func(t *testing.T, base, d []byte) {
		got, err := delta.Apply(base, d)
		if err == nil && len(got) > len(base)+len(d) {
			t.Errorf("got %d bytes of %d and %d", len(got), len(base), len(d))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1000, 15_000, 100_000, 1_000_000} {
		s := state(size)
		base := encode(b, s)
		s["counter"] = 42
		counter := encode(b, s)
		s["messages"] = append(s["messages"].([]any)[1:], message(rand.New(rand.NewPCG(2, 2))))
		all := encode(b, s)
		for name, next := range map[string][]byte{"counter": counter, "counter+shift": all} {
			b.Run(fmt.Sprint(name, "/", len(base)), func(b *testing.B) {
				var dst []byte
				for b.Loop() {
					dst, _ = delta.Append(dst[:0], base, next)
				}
			})
		}
	}
}

func TestEdit(t *testing.T) {
	edits := map[string]delta.Edit{
		`[100,-3,"new \"text\"\u000a"]`: {At: 100, Cut: 3, Put: []byte("new \"text\"\n")},
		`["start"]`:                     {Put: []byte("start")},
		`[7,-1]`:                        {At: 7, Cut: 1},
		`[-1]`:                          {Cut: 1},
		`[]`:                            {},
	}
	for want, e := range edits {
		got := delta.AppendEdit(nil, e)
		if string(got) != want {
			t.Errorf("%+v: got %s, want %s", e, got, want)
		}
		var back delta.Edit
		if err := json.Unmarshal(got, &back); err != nil || back.At != e.At || back.Cut != e.Cut || !bytes.Equal(back.Put, e.Put) {
			t.Errorf("%s: got %+v, %v", got, back, err)
		}
	}
	for _, d := range []string{`[1,2]`, `[-1,2]`, `[-1,-1]`, `["a",1]`, `["a","b"]`, `{}`, `[0]`, `1`} {
		if err := json.Unmarshal([]byte(d), new(delta.Edit)); err == nil {
			t.Errorf("%s: want an error", d)
		}
	}
}
