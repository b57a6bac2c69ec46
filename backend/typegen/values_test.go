package typegen_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/typegen/testdata/all"
	"github.com/troupe-dev/troupe/backend/typegen/testdata/all/other"
)

// TestValuesSatisfyTheirTypes encodes random values with the runtime, and checks them
// against the generated types with the TypeScript compiler.
func TestValuesSatisfyTheirTypes(t *testing.T) {
	const values = 200
	needTSC(t)
	r := rand.New(rand.NewPCG(1, 2))
	all.Values = []all.Every{{Addr: anAddr, Size: all.Small, Side: other.Left}} // everything else is nil
	for len(all.Values) < values {
		var v all.Every
		randomize(r, reflect.ValueOf(&v).Elem(), 0)
		all.Values = append(all.Values, v)
	}
	var src strings.Builder
	fmt.Fprintf(&src, "import type { Every } from %q;\n", importPath(t, "testdata/all.gen"))
	actortest.Run(t, all.Registry, func(n *actortest.Node) {
		teller := n.Actor("teller", "a")
		for i := range all.Values {
			fmt.Fprintf(&src, "export const v%d: Every = %s;\n", i, actortest.Call[json.RawMessage](teller, "value", i))
		}
	})
	// And it does check.
	src.WriteString("// @ts-expect-error\nexport const wrong: Every = { ...v0, nest: null };\n")

	dir := t.TempDir()
	write(t, filepath.Join(dir, "values.ts"), src.String())
	compile(t, dir, "values.ts")
}

// tsc is the TypeScript compiler.
const tsc = "../../node_modules/.bin/tsc"

func needTSC(t *testing.T) {
	if _, err := os.Stat(tsc); err != nil {
		t.Skip("there is no TypeScript compiler before npm ci; the ts part of make test runs this once more")
	}
}

// compile checks a TypeScript file in a directory.
func compile(t *testing.T, dir, file string) {
	t.Helper()
	write(t, filepath.Join(dir, "tsconfig.json"), `{"compilerOptions": {"strict": true, "noEmit": true, "target": "ES2022", "types": []}, "files": ["`+file+`"]}`)
	if out, err := exec.Command(tsc, "-p", dir).CombinedOutput(); err != nil {
		t.Errorf("%v\n%.2000s", err, out)
	}
}

func importPath(t *testing.T, path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.ToSlash(abs)
}

func write(t *testing.T, path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var (
	anAddr = netip.MustParseAddr("::1")
	texts  = []string{"", "plain", "\"quoted\" \\ */ <&> \u2028 \x00 é 🎭", "__proto__"}
)

// random makes values of types that restrict their values or encode themselves.
var random = map[reflect.Type]func(r *rand.Rand) any{
	reflect.TypeFor[all.Size]():   func(r *rand.Rand) any { return pick(r, all.Small, all.Large, all.Tall) },
	reflect.TypeFor[other.Side](): func(r *rand.Rand) any { return pick(r, other.Left, other.Right) },
	reflect.TypeFor[time.Time]():  func(r *rand.Rand) any { return pick(r, time.Time{}, time.Unix(r.Int64N(1<<33), 5)) },
	reflect.TypeFor[*big.Int]():   func(r *rand.Rand) any { return pick(r, nil, big.NewInt(r.Int64N(1<<53))) },
	reflect.TypeFor[netip.Addr](): func(r *rand.Rand) any { return pick(r, anAddr, netip.AddrFrom4([4]byte{byte(r.Int()), 0, 0, 1})) },
	reflect.TypeFor[json.RawMessage](): func(r *rand.Rand) any {
		return pick(r, nil, json.RawMessage(`{"a":[1,null]}`), json.RawMessage("null"))
	},
	reflect.TypeFor[json.Number](): func(r *rand.Rand) any { return pick(r, "", json.Number("-1.5e3")) },
	reflect.TypeFor[any]():         func(r *rand.Rand) any { return pick(r, nil, any(1), any([]string(nil)), any(map[string]any{"a": nil})) },
	reflect.TypeFor[func()]():      func(*rand.Rand) any { return nil },
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// randomize sets v to a random value, often with nil in it.
func randomize(r *rand.Rand, v reflect.Value, depth int) {
	t := v.Type()
	if f, ok := random[t]; ok {
		if x := reflect.ValueOf(f(r)); x.IsValid() {
			v.Set(x.Convert(t))
		}
		return
	}
	few := func() int {
		if depth > 4 {
			return 0
		}
		return r.IntN(3)
	}
	switch t.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(pick(r, 0, r.Int64N(1<<53), -r.Int64N(1<<53))) // larger ones are other numbers in JavaScript
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(r.Uint64N(1 << 53))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(pick(r, 0, r.NormFloat64(), 1e30))
	case reflect.String:
		v.SetString(pick(r, texts...))
	case reflect.Pointer:
		if few() > 0 {
			v.Set(reflect.New(t.Elem()))
			randomize(r, v.Elem(), depth+1)
		}
	case reflect.Slice:
		if n := few(); n > 0 || r.IntN(2) == 0 {
			v.Set(reflect.MakeSlice(t, n, n))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			randomize(r, v.Index(i), depth+1)
		}
	case reflect.Map:
		n := few()
		if n > 0 || r.IntN(2) == 0 {
			v.Set(reflect.MakeMap(t))
		}
		for range n {
			key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			randomize(r, key, depth+1)
			randomize(r, elem, depth+1)
			v.SetMapIndex(key, elem)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				randomize(r, v.Field(i), depth+1)
			}
		}
	}
}
