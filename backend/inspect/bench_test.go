package inspect_test

import (
	"fmt"
	"net/http"
	"testing"
)

// BenchmarkActors is a page of 50 rows, of 100,000 actors that are awake and stored.
func BenchmarkActors(b *testing.B) {
	e := newEnv(b, false)
	const actors = 100_000
	for k := range actors {
		e.sell(fmt.Sprintf("%06d", k), "tea", 0)
	}
	for _, c := range []struct{ name, query string }{
		{"awake", "sort=key"},
		{"awake, by size", "sort=bytes"},
		{"awake, prefix", `sort=key&prefix=["0999"]`},
		{"awake, last page", "sort=key&after=99950"},
		{"stored", "from=store"},
		{"stored, rare prefix", `from=store&prefix=["0999"]`},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if w := e.request("GET", "/api/actors?limit=50&"+c.query, ""); w.Code != http.StatusOK {
					b.Fatalf("got %d: %s", w.Code, w.Body)
				}
			}
		})
	}
}
