package inspect_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

type rowOf struct {
	ID    string   `json:"id"`
	Key   []string `json:"key"`
	Awake bool     `json:"awake"`
}

type rowsOf struct {
	Actors []rowOf `json:"actors"`
	Total  int     `json:"total"`
	Next   string  `json:"next"`
}

func (r rowsOf) String() string {
	s := ""
	for _, a := range r.Actors {
		s += a.Key[0] + " "
	}
	return s
}

func TestActors(t *testing.T) {
	e := newEnv(t, false)
	for k := range 120 {
		e.sell(fmt.Sprintf("%03d", k), "tea", 0)
	}
	var page rowsOf
	if e.get("/api/actors?limit=3", &page); page.String() != "000 001 002 " || page.Total != 120 || page.Next != "3" {
		t.Errorf("got %v, %d, next %s", page, page.Total, page.Next)
	}
	if e.get("/api/actors?limit=3&after=118&sort=key", &page); page.String() != "118 119 " {
		t.Errorf("the last page: got %v", page)
	}
	if e.get(`/api/actors?prefix=["11"]`, &page); page.Total != 10 || page.Actors[0].Key[0] != "110" {
		t.Errorf("a prefix: got %v", page)
	}
	for query, want := range map[string]int{"name=shop&limit=50": 120, `prefix=["1"]&limit=7`: 20, `prefix=["11"]&limit=1`: 10, "limit=200": 120} {
		seen := map[string]bool{}
		for after := ""; ; after = page.Next {
			page = rowsOf{}
			e.get("/api/actors?from=store&"+query+"&after="+after, &page)
			if limit, _ := strconv.Atoi(query[strings.LastIndex(query, "=")+1:]); len(page.Actors) > limit {
				t.Errorf("%s: got a page of %d", query, len(page.Actors))
			}
			for _, a := range page.Actors {
				if seen[a.ID] || !a.Awake {
					t.Errorf("%s: %v is there twice, or does not seem awake", query, a)
				}
				seen[a.ID] = true
			}
			if page.Next == "" {
				break
			}
		}
		if len(seen) != want {
			t.Errorf("%s: got %d stored actors, want %d", query, len(seen), want)
		}
	}
	if e.get(`/api/actors?from=store&prefix=["11"]`, &page); len(page.Actors) != 10 {
		t.Errorf("a prefix of stored ones: got %v", page)
	}
	if w := e.request("GET", "/api/actors?prefix=x", ""); w.Code != http.StatusBadRequest {
		t.Errorf("a bad prefix: got %d", w.Code)
	}
	var found map[string]string
	if e.get(`/api/actor?name=shop&key=["007"]`, &found); found["id"] != idOf("007") {
		t.Errorf("got %v", found)
	}
	for path, status := range map[string]int{
		`/api/actor?name=shop`: 400, `/api/actor?name=no&key=[]`: 404, "/api/actors/nobody": 404, "/api/actors/nobody/log": 404, "/api/nothing": 404,
	} {
		if w := e.request("GET", path, ""); w.Code != status {
			t.Errorf("%s: got %d %s, want %d", path, w.Code, w.Body, status)
		}
	}
}

func TestActor(t *testing.T) {
	e := newEnv(t, true)
	e.sell("a", "tea <script>", 5)
	at := "/api/actors/" + idOf("a")
	var a struct {
		Name  string          `json:"name"`
		Awake bool            `json:"awake"`
		Rev   uint64          `json:"rev"`
		State json.RawMessage `json:"state"`
	}
	if e.get(at, &a); a.Name != "shop" || !a.Awake || string(a.State) != `{"owner":"tea \u003cscript\u003e","safe":"‹secret›"}` {
		t.Errorf("got %+v with %s", a, a.State)
	}
	var log struct {
		Entries []struct {
			Seq   uint64          `json:"seq"`
			Event string          `json:"event"`
			Data  json.RawMessage `json:"data"`
		} `json:"entries"`
	}
	if e.get(at+"/log", &log); log.Entries[0].Event != "sold" || log.Entries[0].Seq != 1 {
		t.Errorf("got %+v", log)
	}
	if e.get(at+"/log?after=1", &log); len(log.Entries) != 0 {
		t.Errorf("after the last entry: got %+v", log)
	}

	var items struct {
		Len   int64 `json:"len"`
		More  bool  `json:"more"`
		Items []struct {
			Key string `json:"key"`
		} `json:"items"`
	}
	keys := func(path string) string {
		t.Helper()
		e.get(at+"/tables/"+path, &items)
		s := ""
		for _, i := range items.Items {
			s += i.Key + ","
		}
		return fmt.Sprint(s, items.More)
	}
	for path, want := range map[string]string{
		"orders": "-2,-1,0,1,2,false", "orders?limit=2": "-2,-1,true", "orders?after=-1": "0,1,2,false", "orders?after=0&backward=1": "-1,-2,false",
		"names?limit=1": "order 0,true", "names?after=order%203": "order 4,false",
	} {
		if got := keys(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	for path, status := range map[string]int{"/tables/no": 404, "/tables/orders?after=x": 400} {
		if w := e.request("GET", at+path, ""); w.Code != status {
			t.Errorf("%s: got %d, want %d", path, w.Code, status)
		}
	}
}

func TestDefinitions(t *testing.T) {
	e := newEnv(t, true)
	w := e.request("GET", "/api/definitions", "")
	for _, want := range []string{
		`{"name":"sell","readOnly":false,"args":[{"name":"what","type":"string","kind":"string","example":""},{"name":"n","type":"int","kind":"number","example":0}]`,
		`"signature":"sell(what: { a: string, b: number }, n: number): number"`,
		`"as":{"type":"inspect_test.clerk","kind":"json","example":{"name":""}}`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not in %s", want, w.Body)
		}
	}
}

// TestWrites: each operation has its effect, and a line in the log with the address, but
// without what users wrote.
func TestWrites(t *testing.T) {
	e := newEnv(t, true)
	e.sell("a", "tea", 1)
	at := "/api/actors/" + idOf("a")
	post := func(path, body string, status int, want string) {
		t.Helper()
		w := e.request("POST", path, body)
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s %s: got %d %s, want %d %s", path, body, w.Code, w.Body, status, want)
		}
	}
	post(at+"/call", `{"action":"sell","args":["hidden",3]}`, 200, `{"result":3}`)
	post(at+"/call", `{"action":"sell","args":["hidden",-3]}`, 422, `"code":"negative","message":"cannot sell -3"`)
	post(at+"/call", `{"action":"sell"}`, 400, "invalid_args")
	post(at+"/call", `{"action":`, 400, "malformed")
	post(at+"/state", `{"rev":1,"state":{"owner":"hidden"}}`, 409, "changed")
	post(at+"/state", `{"rev":2,"state":{"owner":7}}`, 400, "invalid_input")
	post(at+"/state", `{"rev":2,"state":{"owner":"hidden too","safe":"‹secret›"}}`, 200, `{"before":{"owner":"hidden","safe":"‹secret›"}}`)
	post(at+"/disconnect", `{"conn":"nobody"}`, 404, "not_found")
	post(at+"/reset", ``, 200, `{}`)
	post(at+"/messages/7", `{"change":"run"}`, 404, "not_found")
	post(at+"/messages/7", `{"change":"bad"}`, 400, "invalid_input")
	post(at+"/destroy", `{"key":["b"]}`, 400, "another key")
	post(at+"/messages/7", `{"change":"`+strings.Repeat("x", 1<<20)+`"}`, 400, "invalid_input")
	post(at+"/disconnect", `{"conn":"`+strings.Repeat("y", 1<<20)+`"}`, 404, "not_found")
	post(at+"/destroy", `{"key":["a"]}`, 200, `{}`)
	post(at+"/reset", ``, 404, "not_found")
	post("/api/actors/nobody/reset", ``, 404, "not_found")

	log := e.log.String()
	if strings.Contains(log, "hidden") {
		t.Errorf("the log has what users wrote: %s", log)
	}
	if n := strings.Count(log, `level=WARN msg="inspector: an operator has touched an actor"`); n != 15 {
		t.Errorf("got %d lines in the log, want 15: %.5000s", n, log)
	}
	if len(log) > 10_000 {
		t.Errorf("the log has %d bytes", len(log))
	}
	for _, want := range []string{`what=call actor=shop key="[\"a\"]"`, "address=192.0.2.1 ", "what=\"change message\"", "conn=yyy", "outcome=negative action=sell", "what=reset", "outcome=changed rev=1", "what=destroy"} {
		if !strings.Contains(log, want) {
			t.Errorf("%s is not in the log: %s", want, log)
		}
	}
}

// The pages of a crowd have every actor once, in order.
func TestActors_crowd(t *testing.T) {
	e := newEnv(t, false)
	for k := range 2500 {
		e.sell(fmt.Sprintf("%04d", k*1031%2500), "tea", 0)
	}
	for _, first := range []string{"0", "13"} {
		var got []string
		for after := first; after != ""; {
			var page rowsOf
			e.get("/api/actors?sort=key&limit=100&after="+after, &page)
			for _, a := range page.Actors {
				got = append(got, a.Key[0])
			}
			if page.Total != 2500 {
				t.Fatalf("got %d of 2500", page.Total)
			}
			after = page.Next
		}
		skipped, _ := strconv.Atoi(first)
		for i, key := range got {
			if want := fmt.Sprintf("%04d", skipped+i); key != want {
				t.Fatalf("from %s on: got %s as number %d, want %s", first, key, i, want)
			}
		}
		if len(got) != 2500-skipped {
			t.Errorf("from %s on: got %d", first, len(got))
		}
	}
}
