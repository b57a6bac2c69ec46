package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

type kind string

const (
	letter kind = "letter"
	bundle kind = "bundle"
)

type parcel struct {
	To    string       `json:"to"`
	Kind  kind         `json:"kind"`
	Was   kind         `json:"was,omitempty"`
	Size  size         `json:"size"`
	Via   []stop       `json:"via,omitempty"`
	Rates map[kind]int `json:"rates,omitempty"`
	Note  *string      `json:"note"`
	Sent  time.Time    `json:"sent,omitzero"`
}

type size struct {
	W float64 `json:"w"`
	H float64 `json:"h"`
}

type stop struct {
	City string `json:"city"`
	Days int8   `json:"days,omitempty"`
	Size *size  `json:"size,omitempty"`
}

type postOffice struct{}

func (postOffice) Send(*actor.Context[actor.NoState], parcel) {}

// The types above as TypeScript has them, written down once more by hand: what a
// decoded JSON value has to be.
type is func(v any) bool

func object(required, optional map[string]is) is {
	return func(v any) bool {
		m, ok := v.(map[string]any)
		for name := range required {
			ok = ok && named(m, name) != nil
		}
		for name, is := range both(required, optional) {
			if value := named(m, name); ok && value != nil {
				ok = is(*value)
			}
		}
		return ok
	}
}

// named returns a field whose name may differ in case, as encoding/json finds it.
func named(m map[string]any, name string) *any {
	for key, value := range m {
		if strings.EqualFold(key, name) {
			return &value
		}
	}
	return nil
}

func both(a, b map[string]is) map[string]is {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func isString(v any) bool { _, ok := v.(string); return ok }
func isNumber(v any) bool {
	n, ok := v.(json.Number)
	_, err := n.Float64()
	return ok && err == nil
}
func isKind(v any) bool { return v == "letter" || v == "bundle" }
func isInt(bits int) is {
	return func(v any) bool {
		n, ok := v.(json.Number)
		_, err := strconv.ParseInt(string(n), 10, bits)
		return ok && err == nil
	}
}

func isTime(v any) bool {
	s, ok := v.(string)
	_, err := time.Parse(time.RFC3339, s)
	return ok && err == nil
}

func orNull(is is) is { return func(v any) bool { return v == nil || is(v) } }

func arrayOf(is is) is {
	return func(v any) bool {
		all, ok := v.([]any)
		for _, v := range all {
			ok = ok && is(v)
		}
		return ok
	}
}

func recordOf(key, value is) is {
	return func(v any) bool {
		m, ok := v.(map[string]any)
		for k, v := range m {
			ok = ok && key(k) && value(v)
		}
		return ok
	}
}

var (
	isSize   = object(map[string]is{"w": isNumber, "h": isNumber}, nil)
	isStop   = object(map[string]is{"city": isString}, map[string]is{"days": isInt(8), "size": orNull(isSize)})
	isParcel = object(
		map[string]is{"to": isString, "kind": isKind, "size": isSize, "note": orNull(isString)},
		map[string]is{"was": isKind, "via": arrayOf(isStop), "rates": recordOf(isKind, isInt(64)), "sent": isTime},
	)
)

// TestG9_NoBadArgumentReachesAnAction: of 100,000 arguments that are
// nearly right, those that are not are refused, the others are not, and nothing
// panics.
func TestG9_NoBadArgumentReachesAnAction(t *testing.T) {
	registry := actor.NewRegistry(actor.Define[postOffice]("postOffice"))
	registry.SetContract(actor.Contract{Unions: []actor.Union{actor.OneOf(letter, bundle)}})
	node := runtime.New(registry, memory.New(memory.Options{}), runtime.Options{})
	defer func() {
		if err := node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	r := rand.New(rand.NewPCG(1, 2))
	ref := host.Ref{Name: "postOffice", Key: host.Key{"a"}}
	good, arguments := 0, 100_000
	if testing.Short() {
		arguments = 20_000
	}
	for range arguments {
		text := spoil(r, fmt.Sprintf(`{"to":"ada","kind":"letter","was":"bundle","size":{"w":1,"h":2.5},"note":null,
			"via":[{"city":"Ulm","days":%d},{"city":"","size":{"w":0,"h":0}}],"rates":{"bundle":3},"sent":"2020-01-01T00:00:00Z"}`, r.IntN(9)))
		args := []json.RawMessage{json.RawMessage(text)}
		if r.IntN(100) == 0 {
			args = args[:0]
		}
		_, err := node.CallOnce(t.Context(), ref, host.DirectCall{Create: true, Action: "send", Args: args})
		want := len(args) == 1 && isParcel(decoded(text))
		var e *host.Fault
		switch {
		case want && err != nil:
			t.Fatalf("%s\nis refused: %v", text, err)
		case !want && (!errors.As(err, &e) || e.Code != "invalid_args"):
			t.Fatalf("%s\ngot %v, want invalid_args", text, err)
		case want:
			good++
		}
	}
	if good < arguments/20 || good > arguments-arguments/20 {
		t.Errorf("%d of the arguments were good: the test tries little", good)
	}
}

func decoded(text string) (v any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil || d.More() {
		return nil
	}
	return v
}

// spoil changes some values of a JSON text, leaves some out and adds others.
func spoil(r *rand.Rand, text string) string {
	v := decoded(text)
	for range r.IntN(4) {
		v = spoiled(r, v)
	}
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	if r.IntN(200) == 0 {
		return string(out[:r.IntN(len(out))]) // no JSON at all
	}
	return string(out)
}

func spoiled(r *rand.Rand, v any) any {
	switch v := v.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		if len(keys) == 0 || r.IntN(8) == 0 {
			break
		}
		k := keys[r.IntN(len(keys))]
		switch r.IntN(8) {
		case 0:
			delete(v, k)
		case 1:
			v["more"] = other(r)
		case 2:
			old := v[k]
			delete(v, k)
			v[strings.ToUpper(k)] = old
		default:
			v[k] = spoiled(r, v[k])
		}
		return v
	case []any:
		if len(v) == 0 || r.IntN(4) == 0 {
			return append(v, other(r))
		}
		i := r.IntN(len(v))
		v[i] = spoiled(r, v[i])
		return v
	}
	return other(r)
}

func other(r *rand.Rand) any {
	all := []any{
		nil, true, "", "letter", "Letter", "bundle\x00", `"`, `\`, "é\u2028", "2020-01-01T00:00:00Z",
		json.Number("0"), json.Number("-1"), json.Number("1.0"), json.Number("1e3"), json.Number("300"), json.Number("-1e-2"),
		json.Number("9223372036854775808"), json.Number("1e999"),
	}
	if i := r.IntN(len(all) + 3); i < len(all) {
		return all[i]
	} else if i == len(all) {
		return []any{other(r)}
	}
	return map[string]any{"w": other(r), "letter": other(r)}
}
