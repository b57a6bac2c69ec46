package app_test

import (
	"bytes"
	"errors"
	"flag"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/app"
	"github.com/troupe-dev/troupe/backend/forwarded"
)

func TestParseConfig(t *testing.T) {
	standard := app.Config{Addr: ":8080", Data: "./data", Store: "sqlite", JournalBytes: 64 << 20, SecureDelete: true, MaxActors: 250_000, MaxActorBytes: -1, MaxBuffers: -1, TableCache: 64 << 20, MaxSocketsPerIP: 2000, ConnectRatePerIP: 50, CallRatePerIP: 500, ActorRatePerIP: 5, Inspect: "off"}
	with := func(change func(*app.Config)) app.Config {
		c := standard
		change(&c)
		return c
	}
	tests := []struct {
		name string
		args []string
		env  []string
		want app.Config
	}{
		{"the defaults", nil, nil, standard},
		{
			"flags",
			[]string{"-addr", "127.0.0.1:0", "-data=/srv/troupe", "-store", "memory", "-journal-bytes", "1048576", "-allow-origin", "https://a.example, http://b.example:81/", "-log", "debug,json"},
			nil,
			app.Config{
				Addr: "127.0.0.1:0", Data: "/srv/troupe", Store: "memory", JournalBytes: 1 << 20, SecureDelete: true,
				AllowOrigins: []string{"https://a.example", "http://b.example:81"}, LogLevel: slog.LevelDebug, LogJSON: true,
				Warnings:  []string{"-journal-bytes has no effect with -store memory: leave it out, or use -store sqlite"},
				MaxActors: 250_000, MaxActorBytes: -1, MaxBuffers: -1, TableCache: 64 << 20, MaxSocketsPerIP: 2000, ConnectRatePerIP: 50, CallRatePerIP: 500, ActorRatePerIP: 5, Inspect: "off",
			},
		},
		{
			"environment variables", nil,
			[]string{"TROUPE_ADDR=:1", "TROUPE_DATA=d", "TROUPE_STORE=memory", "TROUPE_SECURE_DELETE=false", "TROUPE_JOURNAL_BYTES=4096", "TROUPE_ALLOW_ORIGIN=https://a.example", "TROUPE_LOG=warn"},
			app.Config{Addr: ":1", Data: "d", Store: "memory", JournalBytes: 4096, AllowOrigins: []string{"https://a.example"}, LogLevel: slog.LevelWarn, MaxActors: 250_000, MaxActorBytes: -1, MaxBuffers: -1, TableCache: 64 << 20, MaxSocketsPerIP: 2000, ConnectRatePerIP: 50, CallRatePerIP: 500, ActorRatePerIP: 5, Inspect: "off",
				Warnings: []string{"TROUPE_JOURNAL_BYTES has no effect with -store memory: leave it out, or use -store sqlite"}},
		},
		{
			"a misspelled variable", nil,
			[]string{"TROUPE_MAX_SOCKET=5", "TROUPE_SERVICE_HOST=10.0.0.1", "TROUPE_PORT=tcp://10.0.0.1:8080", "TROUPE_URL=http://x"},
			with(func(c *app.Config) {
				c.Warnings = []string{"TROUPE_MAX_SOCKET is not a setting and has no effect: did you mean TROUPE_MAX_SOCKETS?"}
			}),
		},
		{
			"a flag overrides its variable",
			[]string{"-addr", ":2"},
			[]string{"TROUPE_ADDR=:1", "PORT=3"},
			with(func(c *app.Config) { c.Addr = ":2" }),
		},
		{"an empty variable counts as unset", nil, []string{"TROUPE_STORE=", "TROUPE_ADDR="}, standard},
		{"a base path", []string{"-base-path", "/app/"}, nil, with(func(c *app.Config) { c.BasePath = "/app" })},
		{"a longer base path", nil, []string{"TROUPE_BASE_PATH=/any/base-1.0/path"}, with(func(c *app.Config) { c.BasePath = "/any/base-1.0/path" })},
		{"the root as base path", []string{"-base-path", "/"}, nil, standard},
		{"PORT", nil, []string{"PORT=3"}, with(func(c *app.Config) { c.Addr = ":3" })},
		{"TROUPE_ADDR overrides PORT", nil, []string{"PORT=3", "TROUPE_ADDR=:1"}, with(func(c *app.Config) { c.Addr = ":1" })},
		{"a format alone", []string{"-log", "json"}, nil, with(func(c *app.Config) { c.LogJSON = true })},
		{"an IPv6 address", []string{"-addr", "[::1]:80"}, nil, with(func(c *app.Config) { c.Addr = "[::1]:80" })},
		{"a backup", []string{"backup", "x.db"}, nil, with(func(c *app.Config) { c.Backup = "x.db" })},
		{"a backup, with flags before and after", []string{"-data", "d", "backup", "-log", "json", "x.db"}, nil, with(func(c *app.Config) {
			c.Data, c.LogJSON, c.Backup = "d", true, "x.db"
		})},
		{"a restore", []string{"restore", "-data", "d", "x.db"}, nil, with(func(c *app.Config) { c.Data, c.Restore = "d", "x.db" })},
		{"proxies", []string{"-trusted-proxies", "127.0.0.1, 10.0.0.0/8"}, nil, with(func(c *app.Config) {
			c.Proxies = forwarded.Proxies{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}
		})},
		{
			"limits", []string{"-max-sockets", "5", "-max-actors", "6", "-max-actor-bytes", "8", "-max-buffers", "7", "-max-sockets-per-ip", "3", "-connect-rate-per-ip", "0.5", "-call-rate-per-ip", "0", "-actor-rate-per-ip", "7"}, nil,
			with(func(c *app.Config) {
				c.MaxSockets, c.MaxActors, c.MaxActorBytes, c.MaxBuffers = 5, 6, 8, 7
				c.MaxSocketsPerIP, c.ConnectRatePerIP, c.CallRatePerIP, c.ActorRatePerIP = 3, 0.5, 0, 7
			}),
		},
		{
			"limits per address, by variables", nil,
			[]string{"TROUPE_MAX_SOCKETS_PER_IP=3", "TROUPE_CONNECT_RATE_PER_IP=0.5", "TROUPE_CALL_RATE_PER_IP=0"},
			with(func(c *app.Config) { c.MaxSocketsPerIP, c.ConnectRatePerIP, c.CallRatePerIP = 3, 0.5, 0 }),
		},
		{
			"their old names", []string{"-address-sockets", "3", "-address-connects=0.5", "-address-calls", "0"}, nil,
			with(func(c *app.Config) {
				c.MaxSocketsPerIP, c.ConnectRatePerIP, c.CallRatePerIP = 3, 0.5, 0
				c.Warnings = []string{
					"-address-sockets is now -max-sockets-per-ip: use the new name, as the next version removes the old one",
					"-address-connects is now -connect-rate-per-ip: use the new name, as the next version removes the old one",
					"-address-calls is now -call-rate-per-ip: use the new name, as the next version removes the old one",
				}
			}),
		},
		{
			"their old variables", nil, []string{"TROUPE_ADDRESS_SOCKETS=3", "TROUPE_ADDRESS_CONNECTS=0.5", "TROUPE_ADDRESS_CALLS=0"},
			with(func(c *app.Config) {
				c.MaxSocketsPerIP, c.ConnectRatePerIP, c.CallRatePerIP = 3, 0.5, 0
				c.Warnings = []string{
					"TROUPE_ADDRESS_SOCKETS is now TROUPE_MAX_SOCKETS_PER_IP: use the new name, as the next version removes the old one",
					"TROUPE_ADDRESS_CONNECTS is now TROUPE_CONNECT_RATE_PER_IP: use the new name, as the next version removes the old one",
					"TROUPE_ADDRESS_CALLS is now TROUPE_CALL_RATE_PER_IP: use the new name, as the next version removes the old one",
				}
			}),
		},
		{
			"a new name overrides the old one", []string{"-address-sockets", "3", "-max-sockets-per-ip", "4"}, []string{"TROUPE_ADDRESS_CALLS=1", "TROUPE_CALL_RATE_PER_IP=2"},
			with(func(c *app.Config) { c.MaxSocketsPerIP, c.CallRatePerIP = 4, 2 }),
		},
		{"the checks", []string{"-check"}, nil, with(func(c *app.Config) { c.Check = true })},
		{"the checks, by a variable", nil, []string{"TROUPE_CHECK=1"}, with(func(c *app.Config) { c.Check = true })},
		{"no checks despite the variable", []string{"-check=false"}, []string{"TROUPE_CHECK=1"}, standard},
		{"for operators", []string{"-debug-addr", "127.0.0.1:6060", "-metrics", "-drain", "5s"}, nil, with(func(c *app.Config) {
			c.DebugAddr, c.Metrics, c.Drain = "127.0.0.1:6060", true, 5*time.Second
		})},
		{"for operators, by variables", nil, []string{"TROUPE_DEBUG_ADDR=:6060", "TROUPE_METRICS=true", "TROUPE_DRAIN=1m"}, with(func(c *app.Config) {
			c.DebugAddr, c.Metrics, c.Drain = ":6060", true, time.Minute
		})},
		{"an inspector", []string{"-debug-addr", ":6060", "-inspect", "write"}, []string{"TROUPE_INSPECT_TOKEN=secret"}, with(func(c *app.Config) {
			c.DebugAddr, c.Inspect, c.InspectToken = ":6060", "write", "secret"
		})},
		{"the version", []string{"-version"}, nil, with(func(c *app.Config) { c.Version = true })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := app.ParseConfig(test.args, test.env, &bytes.Buffer{})
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

func TestParseConfig_errors(t *testing.T) {
	tests := []struct {
		args []string
		env  []string
		want string // all of it in the error
	}{
		{[]string{"-store", "sqlite3"}, nil, `-store: want sqlite or memory, got "sqlite3"`},
		{nil, []string{"TROUPE_STORE=redis"}, `TROUPE_STORE: want sqlite or memory, got "redis"`},
		{[]string{"-addr", "8080"}, nil, `-addr: want host:port or :port with a port from 0 to 65535, got "8080"`},
		{[]string{"-addr", ":http"}, nil, `-addr: want host:port or :port with a port from 0 to 65535, got ":http"`},
		{[]string{"-addr", ":65536"}, nil, `got ":65536"`},
		{[]string{"-addr", "http://localhost:8080"}, nil, `got "http://localhost:8080"`},
		{nil, []string{"PORT=a:b"}, `PORT: want host:port`},
		{nil, []string{"PORT=tcp"}, `PORT: want host:port`},
		{[]string{"-data", ""}, nil, `-data: want the name of a directory`},
		{[]string{"-base-path", "app"}, nil, `-base-path: want a path of letters, digits and -._~, such as /app, got "app"`},
		{[]string{"-base-path", "/a/../b"}, nil, `got "/a/../b"`},
		{[]string{"-base-path", "//evil.example"}, nil, `got "//evil.example"`},
		{[]string{"-base-path", "/a b"}, nil, `got "/a b"`},
		{[]string{"-base-path", "/api/v1"}, nil, `-base-path: the server itself uses /api`},
		{[]string{"-allow-origin", "example.com"}, nil, `-allow-origin: want origins such as https://example.com, got "example.com"`},
		{[]string{"-allow-origin", "https://a.example/page"}, nil, `got "https://a.example/page"`},
		{[]string{"-log", "loud"}, nil, `-log: want a level`},
		{[]string{"-debug-addr", "6060"}, nil, `-debug-addr: want host:port or :port with a port from 0 to 65535, got "6060"`},
		{[]string{"-debug-addr", "localhost:pprof"}, nil, `-debug-addr: want host:port or :port`},
		{[]string{"-addr", ":8080", "-debug-addr", ":8080"}, nil, `-debug-addr: want another address than that of -addr, got ":8080"`},
		{[]string{"-debug-addr", ":6060", "-inspect", "on"}, nil, `-inspect: want off, read or write, got "on"`},
		{[]string{"-inspect", "read"}, nil, `-inspect: it is served at -debug-addr: set that, too`},
		{[]string{"-log", "info,debug"}, nil, `-log: want one level and one format, such as warn,json, got "info,debug"`},
		{[]string{"-log", "text,json"}, nil, `-log: want one level and one format`},
		{[]string{"-drain", "-5s"}, nil, `-drain: want a duration such as 5s, at most 1h, got "-5s"`},
		{[]string{"-drain", "100h"}, nil, `got "100h"`},
		{[]string{"-metrics=maybe"}, nil, `-metrics: want true or false, got "maybe"`},
		{[]string{"-drain", "5"}, nil, `-drain: want a duration such as 5s, at most 1h, got "5"`},
		{[]string{"-trusted-proxies", "localhost"}, nil, `-trusted-proxies: want addresses such as 127.0.0.1 or 10.0.0.0/8`},
		{[]string{"-max-buffers", "64MB"}, nil, `-max-buffers: want a number, or 0, got "64MB"`},
		{[]string{"-max-sockets", "-1"}, nil, `-max-sockets: want a number, or 0, got "-1"`},
		{[]string{"-call-rate-per-ip", "many"}, nil, `-call-rate-per-ip: want a number per second, or 0, got "many"`},
		{[]string{"-connect-rate-per-ip", "NaN"}, nil, `-connect-rate-per-ip: want a number per second, or 0, got "NaN"`},
		{nil, []string{"TROUPE_ADDRESS_CALLS=many"}, `TROUPE_ADDRESS_CALLS: want a number per second`},
		{[]string{"-journal-bytes", "64MB"}, nil, `-journal-bytes: want a number of bytes, got "64MB"`},
		{[]string{"-secure-delete=maybe"}, nil, `-secure-delete: want true or false, got "maybe"`},
		{[]string{"-journal-bytes", "0"}, nil, `-journal-bytes: want a number of bytes, got "0"`},
		{nil, []string{"TROUPE_CHECK=maybe"}, `TROUPE_CHECK: want true or false, got "maybe"`},
		{[]string{"backup", "-nonsense"}, nil, `-nonsense (troupe -h explains all flags)`},
		{[]string{"backup"}, nil, `want the name of one file: troupe backup FILE`},
		{[]string{"restore"}, nil, `want the name of one file: troupe restore FILE`},
		{[]string{"restore", "a", "b"}, nil, `want the name of one file: troupe restore FILE`},
		{[]string{"-nonsense"}, nil, `-nonsense (troupe -h explains all flags)`},
		{[]string{"serve"}, nil, `unexpected argument "serve"`},
	}
	for _, test := range tests {
		_, err := app.ParseConfig(test.args, test.env, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q %q: got error %v, want one line with %q", test.args, test.env, err, test.want)
		}
	}
}

func TestParseConfig_help(t *testing.T) {
	var out bytes.Buffer
	if _, err := app.ParseConfig([]string{"-h"}, nil, &out); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("got error %v, want flag.ErrHelp", err)
	}
	for _, want := range []string{
		"-addr", "TROUPE_ADDR", ":8080", "PORT", "-data", "TROUPE_DATA", "./data", "-store", "TROUPE_STORE", "memory",
		"-journal-bytes", "TROUPE_JOURNAL_BYTES", "67108864", "-secure-delete", "TROUPE_SECURE_DELETE",
		"-base-path", "TROUPE_BASE_PATH", "-allow-origin", "TROUPE_ALLOW_ORIGIN", "-trusted-proxies", "TROUPE_TRUSTED_PROXIES",
		"-max-sockets", "TROUPE_MAX_SOCKETS", "-max-actors", "-max-actor-bytes", "TROUPE_MAX_ACTOR_BYTES", "-max-buffers", "-max-sockets-per-ip", "TROUPE_MAX_SOCKETS_PER_IP", "-connect-rate-per-ip", "TROUPE_CONNECT_RATE_PER_IP", "-call-rate-per-ip", "TROUPE_CALL_RATE_PER_IP", "-actor-rate-per-ip", "TROUPE_ACTOR_RATE_PER_IP", "-log", "TROUPE_LOG", "info,text", "-check\n", "TROUPE_CHECK",
		"-debug-addr", "TROUPE_DEBUG_ADDR", "-metrics\n", "TROUPE_METRICS", "-drain duration", "TROUPE_DRAIN", "-version", "-inspect mode", "TROUPE_INSPECT", "-inspect-token", "TROUPE_INSPECT_TOKEN",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help does not mention %s:\n%s", want, &out)
		}
	}
	for _, old := range []string{"-address-", "TROUPE_ADDRESS"} {
		if strings.Contains(out.String(), old) {
			t.Errorf("the help mentions the old %s", old)
		}
	}
}
