package typegen_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"

	"github.com/troupe-dev/troupe/backend/typegen"
)

// TestHostileNames generates from a package whose types, actions, parameters, fields and
// events have names that mean something in TypeScript, and whose package-level names are
// those that the file for the server would use. Both files compile, and the types are
// the right ones.
func TestHostileNames(t *testing.T) {
	const dir = "testdata/hostile"
	files, err := typegen.Render(typegen.Options{Dir: dir, TS: "registry.gen.ts", Go: "contract_gen.go"})
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(filepath.Join(dir, "contract_gen.go"))
	if err != nil {
		t.Fatal(err)
	}
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedExportFile,
		Dir:  dir, Overlay: map[string][]byte{path: []byte(files[filepath.Join(dir, "contract_gen.go")])},
	}, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range pkgs[0].Errors {
		t.Errorf("the file for the server: %v", e)
	}

	needTSC(t)
	out := t.TempDir()
	ts := files[filepath.Join(dir, "registry.gen.ts")]
	write(t, filepath.Join(out, "registry.gen.ts"), ts)
	write(t, filepath.Join(out, "uses.ts"), uses)
	compile(t, out, "uses.ts")
	if !strings.Contains(ts, "export interface Partial2 {") {
		t.Error("the type Partial has its own name, which hides the global one")
	}
}

// uses uses the generated types as an app does.
const uses = `
import { registry, type Everything, type Kind, type Registry } from "./registry.gen";
declare const actions: Registry["room"]["actions"];
declare const e: Everything;
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export const results: number[] = [
  actions.new(1), actions.delete(1), actions.class(1), actions.function(1), actions.get(1), actions.set(1),
  actions.prototype(1), actions.arguments(1), actions.typeof(1), actions.async(1), actions.null(1),
];
export const isNew: Equal<Registry["room"]["actions"]["new"], (n: number) => number> = true;
export const isPartial: Equal<Everything["byKind"], { a?: number; b?: number }> = true;
export const isRecord: Equal<Everything["byName"], { [key: string]: number }> = true;
export const kinds: Kind[] = ["a", "b"];
export const fields: { n: number }[] = [
  e.Partial, e.Record, e.Registry, e.Array, e.Object, e.String, e.Promise, e.React, e.JSX, e.partial, e.registry, e.never, e.actor,
];
export const others: number[] = [e["a-b"], e["1"], e["äöü"], e.new];
export const all: Everything = actions.all(e);
export const same: typeof registry = {} as Registry;
export const names: ("a-b" | "class" | "new" | "room" | "prototype")[] = [] as (keyof Registry)[];
`
