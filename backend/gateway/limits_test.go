package gateway_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestG9_EveryLimitNamesItself: the error about a limit has its value and the option that
// sets it, and only what exceeds it fails. Limits per address are in admission_test.go.
func TestG9_EveryLimitNamesItself(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	limits := func(l wire.Limits) setup { return gatewayOptions(gateway.Options{Limits: l}) }
	cases := []struct {
		name   string
		with   setup
		frames []string
		want   string // among what came, without ids of calls
	}{
		{"message", nil, []string{callFrame(1, 1, "echo", x(64<<10))}, `1 fail too_large{"size":65584,"limit":65536,"option":"message"}`},
		{"message that opens", nil, []string{openFrame(2, "b", `"input":"`+x(64<<10)+`"`)}, `2 closed too_large false{"size":65659,"limit":65536,"option":"message"}`},
		{"message that subscribes", nil, []string{`{"t":"sub","c":1,"e":["` + x(64<<10) + `"]}`}, `1 error too_large{"size":65562,"limit":65536,"option":"message"}`},
		{"params", nil, []string{openFrame(2, "b", `"params":"`+x(4<<10)+`"`)}, `2 closed too_large false{"size":4098,"limit":4096,"option":"params"}`},
		{"inFlight", limits(wire.Limits{InFlight: 1}), []string{callFrame(1, 1, "nap", 9), callFrame(1, 2, "echo", "x")}, `1 fail overloaded{"limit":1,"option":"inFlight"}`},
		{"channels", limits(wire.Limits{Channels: 1}), []string{openFrame(2, "b")}, `2 closed too_many_channels false{"limit":1,"option":"channels"}`},
		{"rate", limits(wire.Limits{Rate: 0.5, Burst: 1}), []string{callFrame(1, 1, "echo", "x"), callFrame(1, 2, "echo", "x")}, `1 fail rate_limited{"limit":0.5,"option":"rate","retryAfterMs":2000}`},
		{
			"openRate", gatewayOptions(gateway.Options{OpenRate: 0.5, OpenBurst: 1}), []string{openFrame(2, "b")},
			`2 closed rate_limited true{"limit":0.5,"option":"openRate","retryAfterMs":1600}`,
		},
		{"subs", nil, []string{`{"t":"sub","c":1,"e":["a"` + strings.Repeat(`,"a"`, 256) + `]}`}, `1 error malformed{"limit":256,"option":"subs"}`},
		{"key", nil, []string{openFrame(2, "b", `"key":["x"`+strings.Repeat(`,"`+x(128)+`"`, 8)+`]`)}, `2 closed bad_key false{"size":1025,"limit":1024,"option":"host.MaxKeyBytes"}`},
		{"component of a key", nil, []string{openFrame(2, "b", `"key":["`+x(129)+`"]`)}, `2 closed bad_key false{"size":129,"limit":128,"option":"host.MaxKeyComponentBytes"}`},
		{"result", nil, []string{callFrame(1, 1, "big", 1<<20)}, `1 fail too_large{"size":1048578,"limit":1048576,"option":"actor.Options.MaxMessage"}`},
		{"event", nil, []string{callFrame(1, 1, "burst", 1, 1<<20)}, `1 fail too_large{"size":1048578,"limit":1048576,"option":"actor.Options.MaxMessage"}`},
		{
			"MaxMailbox", roomOptions(actor.Options{MaxMailbox: 1}), []string{callFrame(1, 1, "nap", 9), callFrame(1, 2, "echo", "x"), callFrame(1, 3, "echo", "x")},
			`1 fail overloaded{"limit":1,"option":"actor.Options.MaxMailbox"}`,
		},
		{
			"MaxMailboxBytes", roomOptions(actor.Options{MaxMailboxBytes: 1000}), []string{callFrame(1, 1, "nap", 9), callFrame(1, 2, "echo", x(1000))},
			`1 fail overloaded{"limit":1000,"option":"actor.Options.MaxMailboxBytes"}`,
		},
		{
			"MaxMailboxBytes of opens", roomOptions(actor.Options{MaxMailboxBytes: 1000}), []string{callFrame(1, 1, "nap", 9), openFrame(2, "b", `"params":"`+x(1000)+`"`)},
			`2 closed overloaded true{"limit":1000,"option":"actor.Options.MaxMailboxBytes"}`,
		},
		{
			"ActionTimeout", roomOptions(actor.Options{ActionTimeout: time.Second}), []string{callFrame(1, 1, "nap", 1500)},
			`1 fail timeout{"limit":1000,"option":"actor.Options.ActionTimeout"}`,
		},
		{
			"ActionTimeout of an action that is lost", roomOptions(actor.Options{ActionTimeout: time.Second}), []string{callFrame(1, 1, "nap", 5000)},
			`1 fail timeout{"limit":1000,"option":"actor.Options.ActionTimeout"}`,
		},
		{
			"ConnectTimeout", roomOptions(actor.Options{ConnectTimeout: time.Second}), []string{openFrame(2, "b", `"params":{"napMs":1500}`)},
			`2 closed timeout true{"limit":1000,"option":"actor.Options.ConnectTimeout"}`,
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				with := []setup{}
				if tc.with != nil {
					with = append(with, tc.with)
				}
				e := newEnv(t, with...)
				defer e.stop()
				c := e.dial()
				c.open(1, "ada")
				e.settle()
				c.take()
				c.send(tc.frames...)
				time.Sleep(10 * time.Second)
				got := []string{}
				for _, m := range c.takeMessages() {
					got = append(got, said(m))
				}
				if !strings.Contains(strings.Join(got, "\n")+"\n", tc.want+"\n") {
					t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), tc.want)
				}
				c.call(1, 9, "echo", "still here")
				e.settle()
				c.expect(`1 reply 0 #9 "still here"`)
			})
		})
	}
}

// TestG9_OversizeMessages: a message that is too large fails alone, and is logged once
// per socket.
func TestG9_OversizeMessages(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		c.take()
		large := strings.Repeat("x", 64<<10)
		c.send("["+callFrame(1, 1, "echo", large)+","+callFrame(1, 2, "echo", "small")+"]", callFrame(1, 3, "echo", large))
		e.settle()
		got := c.take()
		slices.Sort(got) // the reply comes by way of the log
		const refused = ` too_large{"size":65584,"limit":65536,"option":"message"}`
		if want := []string{"1 fail #1" + refused, "1 fail #3" + refused, `1 reply 0 #2 "small"`}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := strings.Count(e.logs.String(), "code=too_large"); n != 1 {
			t.Errorf("the log reports it %d times", n)
		}
	})
}

// said is brief with all metadata, and without ids of calls.
func said(m wire.ServerMessage) string {
	switch m.Type {
	case wire.TypeFail, wire.TypeError:
		return fmt.Sprintf("%d %s %s%s", m.Channel, m.Type, m.Code, m.Metadata)
	case wire.TypeClosed:
		return fmt.Sprintf("%d %s %s %v%s", m.Channel, m.Type, m.Code, m.Reconnect, m.Metadata)
	}
	return brief(m)
}

// TestHTTP_EveryLimitNamesItself is the same for calls over HTTP.
func TestHTTP_EveryLimitNamesItself(t *testing.T) {
	long := strings.Repeat("x", 300)
	run(t, func(t *testing.T, e *env) {
		for _, tc := range []struct {
			name, path, body, key, want string
		}{
			{"message", "room/actions/echo?key=a", `{"args":["` + strings.Repeat("x", 64<<10) + `"]}`, "", `{"size":65549,"limit":65536,"option":"message"}`},
			{"Idempotency-Key", "room/actions/echo?key=a", `{"args":["x"]}`, long, `{"size":300,"limit":255,"option":"Idempotency-Key"}`},
			{"component of a key", "room/actions/echo?key=" + long, `{"args":["x"]}`, "", `{"size":300,"limit":128,"option":"host.MaxKeyComponentBytes"}`},
			{"key to create", "room", `{"key":["` + long + `"]}`, "", `{"size":300,"limit":128,"option":"host.MaxKeyComponentBytes"}`},
			{"result", "room/actions/big?key=a", `{"args":[1048576]}`, "", `{"size":1048578,"limit":1048576,"option":"actor.Options.MaxMessage"}`},
			{"ActionTimeout", "room/actions/nap?key=a", `{"args":[60500]}`, "", `{"limit":60000,"option":"actor.Options.ActionTimeout"}`},
		} {
			r := httptest.NewRequest("POST", "/api/actors/"+tc.path, strings.NewReader(tc.body))
			if tc.key != "" {
				r.Header.Set("Idempotency-Key", tc.key)
			}
			w := httptest.NewRecorder()
			e.h.ServeHTTP(w, r)
			if !strings.HasSuffix(w.Body.String(), `"metadata":`+tc.want+"}") {
				t.Errorf("%s: got %d %s, want metadata %s", tc.name, w.Code, w.Body, tc.want)
			}
		}
	})
}
