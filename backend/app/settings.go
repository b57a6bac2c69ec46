package app

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/web"
)

// The values of -store.
const (
	storeSQLite = "sqlite"
	storeMemory = "memory"
)

// setting is one row of the table of settings: a flag, and the environment variable
// that counts if the flag is not given.
type setting struct {
	flag, env string
	standard  string // the default
	argument  string // the value's name in the help; empty: a boolean flag
	help      string
	set       func(c *Config, value string) error

	// The names in the previous version. They still work, but the help omits them.
	oldFlag, oldEnv string
}

var settings = slices.Concat(serverSettings, clusterSettings)

var serverSettings = []setting{
	{
		flag: "addr", env: "TROUPE_ADDR", standard: ":8080", argument: "[host]:port",
		help: "address to listen on; port 0 takes a free one. The variable PORT sets only the port",
		set:  setAddr,
	},
	{
		flag: "base-path", env: "TROUPE_BASE_PATH", standard: "", argument: "/path",
		help: "path below which browsers reach the server, such as /app; a proxy in front of it may strip or keep the path",
		set:  setBasePath,
	},
	{
		flag: "data", env: "TROUPE_DATA", standard: "./data", argument: "directory",
		help: "directory of the SQLite store; created if it does not exist",
		set: func(c *Config, v string) error {
			if v == "" {
				return errors.New("want the name of a directory")
			}
			c.Data = v
			return nil
		},
	},
	{
		flag: "store", env: "TROUPE_STORE", standard: storeSQLite, argument: "name",
		help: "store of the actors: sqlite (a file in the data directory) or memory (forgets everything when the server ends)",
		set: func(c *Config, v string) error {
			if v != storeSQLite && v != storeMemory {
				return fmt.Errorf("want sqlite or memory, got %q", v)
			}
			c.Store = v
			return nil
		},
	},
	{
		flag: "journal-bytes", env: "TROUPE_JOURNAL_BYTES", standard: "67108864", argument: "n",
		help: "limit of the journal on disk, in bytes; clients that resume from an event which is no longer in it get a gap",
		set: func(c *Config, v string) (err error) {
			if c.JournalBytes, err = strconv.ParseInt(v, 10, 64); err != nil || c.JournalBytes < 1 {
				return fmt.Errorf("want a number of bytes, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "secure-delete", env: "TROUPE_SECURE_DELETE", standard: "true",
		help: "overwrite what is deleted or replaced in the store's file, so that destroyed actors leave it; without it the store takes 13 to 15 % less processor time",
		set: func(c *Config, v string) (err error) {
			if c.SecureDelete, err = strconv.ParseBool(v); err != nil {
				return fmt.Errorf("want true or false, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "allow-origin", env: "TROUPE_ALLOW_ORIGIN", standard: "", argument: "origin,…",
		help: "further origins whose pages may connect, such as https://example.com",
		set:  setOrigins,
	},
	{
		flag: "hosts", env: "TROUPE_HOSTS", standard: "", argument: "name,…",
		help: "names by which clients reach the server, such as example.com; requests for other hosts get 421, but localhost and IP addresses always work. On a loopback address without trusted proxies, the default is no other name; set it on every server that others reach",
		set: func(c *Config, v string) (err error) {
			c.Hosts, err = forwarded.ParseHosts(v)
			return err
		},
	},
	{
		flag: "trusted-proxies", env: "TROUPE_TRUSTED_PROXIES", standard: "", argument: "address,…",
		help: "addresses of proxies in front of the server, such as 127.0.0.1,10.0.0.0/8; only their X-Forwarded-For, -Host and -Proto headers are trusted",
		set: func(c *Config, v string) (err error) {
			if c.Proxies, err = forwarded.ParseProxies(v); err != nil {
				return fmt.Errorf("want addresses such as 127.0.0.1 or 10.0.0.0/8: %w", err)
			}
			return nil
		},
	},
	{
		flag: "max-sockets", env: "TROUPE_MAX_SOCKETS", standard: "0", argument: "n",
		help: "limit of open sockets; 0 means three quarters of the open-files limit (ulimit -n)",
		set:  func(c *Config, v string) error { return setCount(&c.MaxSockets, v) },
	},
	{
		flag: "max-actors", env: "TROUPE_MAX_ACTORS", standard: "250000", argument: "n",
		help: "limit of actors in memory; 0 means none. An idle actor leaves memory after a while",
		set:  func(c *Config, v string) error { return setCount(&c.MaxActors, v) },
	},
	{
		flag: "max-actor-bytes", env: "TROUPE_MAX_ACTOR_BYTES", standard: "auto", argument: "n",
		help: "limit of the bytes of the states and logs of actors in memory; near it idle actors leave early, beyond it no others are loaded; auto means a quarter of the container's memory limit, or of the machine's memory; 0 means none",
		set:  func(c *Config, v string) error { return setBytes(&c.MaxActorBytes, v) },
	},
	{
		flag: "max-buffers", env: "TROUPE_MAX_BUFFERS", standard: "auto", argument: "n",
		help: "limit of the bytes that wait for actors, and again of those that wait for slow clients; auto means 256 MiB, or an eighth of the container's memory limit if that is less; 0 means none",
		set:  func(c *Config, v string) error { return setBytes(&c.MaxBuffers, v) },
	},
	{
		flag: "table-cache", env: "TROUPE_TABLE_CACHE", standard: "67108864", argument: "n",
		help: "limit of the items of tables that are kept in memory, in bytes; turns read the others from the store",
		set: func(c *Config, v string) (err error) {
			if c.TableCache, err = strconv.ParseInt(v, 10, 64); err != nil || c.TableCache < 1 {
				return fmt.Errorf("want a number of bytes, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "max-sockets-per-ip", env: "TROUPE_MAX_SOCKETS_PER_IP", standard: "2000", argument: "n",
		help: "limit of the sockets of one IP address, and of its connections at twice as many; 0 means none. People behind one router share an address. Clients on this machine are not limited",
		set:  func(c *Config, v string) error { return setCount(&c.MaxSocketsPerIP, v) },

		oldFlag: "address-sockets", oldEnv: "TROUPE_ADDRESS_SOCKETS",
	},
	{
		flag: "connect-rate-per-ip", env: "TROUPE_CONNECT_RATE_PER_IP", standard: "50", argument: "n",
		help: "limit of the sockets per second that one IP address may open in the long run; 0 means none",
		set:  func(c *Config, v string) error { return setRate(&c.ConnectRatePerIP, v) },

		oldFlag: "address-connects", oldEnv: "TROUPE_ADDRESS_CONNECTS",
	},
	{
		flag: "call-rate-per-ip", env: "TROUPE_CALL_RATE_PER_IP", standard: "500", argument: "n",
		help: "limit of the calls per second of one IP address over HTTP, without a socket; 0 means none",
		set:  func(c *Config, v string) error { return setRate(&c.CallRatePerIP, v) },

		oldFlag: "address-calls", oldEnv: "TROUPE_ADDRESS_CALLS",
	},
	{
		flag: "actor-rate-per-ip", env: "TROUPE_ACTOR_RATE_PER_IP", standard: "5", argument: "n",
		help: "limit of the new actors per second that one IP address may make in the long run, 500 of them at once; 0 means none",
		set:  func(c *Config, v string) error { return setRate(&c.ActorRatePerIP, v) },
	},
	{
		flag: "session-key", env: "TROUPE_SESSION_KEY", standard: "", argument: "secret",
		help: "secret that signs sessions, 32 bytes or more; a new one ends them all. By default, one is created in the store. Other users of the machine can read flags, but not variables",
		set: func(c *Config, v string) error {
			if v != "" && len(v) < minSessionKey {
				return fmt.Errorf("want %d bytes or more, got %d", minSessionKey, len(v))
			}
			c.SessionKey = v
			return nil
		},
	},
	{
		flag: "log", env: "TROUPE_LOG", standard: "info,text", argument: "level,format",
		help: "log level (debug, info, warn, error) and format (text, json); either may be omitted",
		set:  setLog,
	},
	{
		flag: "debug-addr", env: "TROUPE_DEBUG_ADDR", standard: "", argument: "host:port",
		help: "address of /metrics, /readyz, /healthz and /debug/pprof for operators, such as 127.0.0.1:6060; do not expose it to the public",
		set: func(c *Config, v string) error {
			if c.DebugAddr = v; v == "" {
				return nil
			}
			return server.CheckAddr(v)
		},
	},
	{
		flag: "inspect", env: "TROUPE_INSPECT", standard: "off", argument: "mode",
		help: "inspector of all actors at /inspect of -debug-addr: read to look, write to change things, too; the log has the link. It shows what users wrote",
		set: func(c *Config, v string) error {
			if v != "off" && v != "read" && v != "write" {
				return fmt.Errorf("want off, read or write, got %q", v)
			}
			c.Inspect = v
			return nil
		},
	},
	{
		flag: "inspect-token", env: "TROUPE_INSPECT_TOKEN", standard: "", argument: "secret",
		help: "secret in the inspector's link, 20 characters or more. By default, each start makes a new one. Other users of the machine can read flags, but not variables",
		set: func(c *Config, v string) error {
			c.InspectToken = v
			return nil
		},
	},
	{
		flag: "metrics", env: "TROUPE_METRICS", standard: "false",
		help: "serve /metrics at the main address, too, where everyone can read it",
		set: func(c *Config, v string) (err error) {
			if c.Metrics, err = strconv.ParseBool(v); err != nil {
				return fmt.Errorf("want true or false, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "drain", env: "TROUPE_DRAIN", standard: "0s", argument: "duration",
		help: "grace period between SIGTERM and shutdown, in which /readyz answers 503, so that a load balancer stops sending clients",
		set: func(c *Config, v string) (err error) {
			if c.Drain, err = time.ParseDuration(v); err != nil || c.Drain < 0 || c.Drain > time.Hour {
				return fmt.Errorf("want a duration such as 5s, at most 1h, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "check", env: "TROUPE_CHECK", standard: "false",
		help: "look for mistakes in actors, such as a state that changes outside a turn, and tell clients the causes of internal errors; for development, as it costs time",
		set: func(c *Config, v string) (err error) {
			if c.Check, err = strconv.ParseBool(v); err != nil {
				return fmt.Errorf("want true or false, got %q", v)
			}
			return nil
		},
	},
}

// find returns the given value of a setting, and the flag or variable it came from.
func (s *setting) find(given map[string]string, env []string) (value, source string, ok bool) {
	for _, name := range []string{s.flag, s.oldFlag} {
		if v, ok := given[name]; ok {
			return v, "-" + name, true
		}
	}
	for _, name := range []string{s.env, s.oldEnv} {
		if v := lookup(env, name); v != "" {
			return v, name, true
		}
	}
	if v := lookup(env, "PORT"); v != "" && s.flag == "addr" {
		return ":" + v, "PORT", true
	}
	return "", "", false
}

// renamed returns the new names of a setting by the old ones.
func (s *setting) renamed() map[string]string {
	if s.oldFlag == "" {
		return nil
	}
	return map[string]string{"-" + s.oldFlag: "-" + s.flag, s.oldEnv: s.env}
}

func setAddr(c *Config, v string) error {
	c.Addr = v
	return server.CheckAddr(v)
}

func setBasePath(c *Config, v string) (err error) {
	if c.BasePath, err = server.CleanBasePath(v); err != nil || c.BasePath == "" {
		return err
	}
	first, _, _ := strings.Cut(c.BasePath[1:], "/")
	if slices.Contains(web.Reserved, first) {
		return fmt.Errorf("the server itself uses /%s: want another path, such as /app", first)
	}
	return nil
}

func setOrigins(c *Config, v string) error {
	c.AllowOrigins = nil
	for origin := range strings.SplitSeq(v, ",") {
		origin = strings.TrimSuffix(strings.TrimSpace(origin), "/")
		if origin == "" {
			continue
		}
		if origin == "*" { // every page in the world
			c.AllowOrigins = append(c.AllowOrigins, origin)
			continue
		}
		if !strings.Contains(origin, "://") {
			return fmt.Errorf("want origins such as https://example.com, got %q", origin)
		}
		clean, err := server.CleanOrigin(origin)
		if err != nil {
			return err
		}
		c.AllowOrigins = append(c.AllowOrigins, clean)
	}
	return nil
}

func setLog(c *Config, v string) error {
	var levels, formats int
	for word := range strings.SplitSeq(v, ",") {
		switch word = strings.TrimSpace(word); word {
		case "debug", "info", "warn", "error":
			levels++
			if err := c.LogLevel.UnmarshalText([]byte(word)); err != nil {
				return err
			}
		case "json", "text":
			formats++
			c.LogJSON = word == "json"
		default:
			return fmt.Errorf("want a level (debug, info, warn, error) and a format (text, json), such as warn,json, got %q", word)
		}
	}
	if levels > 1 || formats > 1 {
		return fmt.Errorf("want one level and one format, such as warn,json, got %q", v)
	}
	return nil
}

func setCount(n *int, v string) (err error) {
	if *n, err = strconv.Atoi(v); err != nil || *n < 0 {
		return fmt.Errorf("want a number, or 0, got %q", v)
	}
	return nil
}

func setBytes(n *int, v string) error {
	if *n = autoBytes; v == "auto" {
		return nil
	}
	return setCount(n, v)
}

func setRate(perSecond *float64, v string) (err error) {
	if *perSecond, err = strconv.ParseFloat(v, 64); err != nil || !(*perSecond >= 0 && *perSecond <= math.MaxInt32) {
		return fmt.Errorf("want a number per second, or 0, got %q", v)
	}
	return nil
}
