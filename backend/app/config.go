package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/web"
)

// Config is the configuration of a server. Make one with ParseConfig.
type Config struct {
	Addr         string            // to listen on
	BasePath     string            // below which browsers reach the server, such as /app; empty: the root
	Data         string            // directory of the SQLite store
	Store        string            // storeSQLite or storeMemory
	JournalBytes int64             // limit of the SQLite store's journal
	AllowOrigins []string          // origins besides the server's own whose pages may connect
	Hosts        forwarded.Hosts   // names of the server; empty means the default of server.Options
	Proxies      forwarded.Proxies // whose X-Forwarded-* headers are trusted
	MaxSockets   int               // in all; 0: three quarters of the open-files limit
	MaxActors    int               // in memory; 0: no limit
	MaxBuffers   int               // in bytes; 0: no limit; autoBuffers: by the memory limit

	// Limits of one IP address; 0 means none. Rates are per second. See server.Options.
	MaxSocketsPerIP  int
	ConnectRatePerIP float64
	CallRatePerIP    float64
	ActorRatePerIP   float64

	SessionKey string // signs sessions; empty: the key file in Data
	LogLevel   slog.Level
	LogJSON    bool
	DebugAddr  string        // for operators; empty: none
	Metrics    bool          // serve /metrics on Addr, too
	Drain      time.Duration // grace period between SIGTERM and shutdown
	Check      bool          // look for mistakes in actors, at the cost of time

	Version  bool   // print the version and exit
	Licenses bool   // print the licences of all dependencies and exit
	Backup   string // copy the data to this file and exit
	Restore  string // replace the data with this backup and exit
	Health   bool   // probe the server and exit

	Warnings []string // of settings that have an old name, or no effect
}

// The values of -store.
const (
	storeSQLite = "sqlite"
	storeMemory = "memory"
)

// autoBuffers is the value of Config.MaxBuffers for server.Options' default.
const autoBuffers = -1

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

var settings = []setting{
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
		flag: "max-buffers", env: "TROUPE_MAX_BUFFERS", standard: "auto", argument: "n",
		help: "limit of the bytes that wait for actors, and again of those that wait for slow clients; auto means 256 MiB, or an eighth of the container's memory limit if that is less; 0 means none",
		set: func(c *Config, v string) error {
			if c.MaxBuffers = autoBuffers; v == "auto" {
				return nil
			}
			return setCount(&c.MaxBuffers, v)
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

// ParseConfig reads the configuration from command-line arguments and, for flags that
// are not given, from environment variables ("NAME=value"). It returns flag.ErrHelp
// after it has printed the help to stdout.
func ParseConfig(args, env []string, stdout io.Writer) (Config, error) {
	var c Config
	given := map[string]string{} // by flag
	flags := flag.NewFlagSet("troupe", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are returned, and printed once
	for _, s := range settings {
		define := flags.Func
		if s.argument == "" {
			define = flags.BoolFunc
		}
		for _, name := range []string{s.flag, s.oldFlag} {
			if name == "" {
				continue
			}
			define(name, s.help, func(v string) error {
				given[name] = v
				return nil
			})
		}
	}
	flags.BoolVar(&c.Version, "version", false, "print the version and exit")
	flags.BoolVar(&c.Licenses, "licenses", false, "print the licences of all dependencies and exit")
	if err := parse(&c, flags, args); errors.Is(err, flag.ErrHelp) {
		printHelp(stdout)
		return c, err
	} else if err != nil {
		return c, fmt.Errorf("%w (troupe -h explains all flags)", err)
	}
	for _, s := range settings {
		value, source := s.standard, ""
		if v, name, ok := s.find(given, env); ok {
			value, source = v, name
		}
		if err := s.set(&c, value); err != nil {
			return c, fmt.Errorf("%s: %w", source, err)
		}
		if s.flag == "journal-bytes" && source != "" && c.Store == storeMemory {
			c.Warnings = append(c.Warnings, source+" has no effect with -store memory: leave it out, or use -store sqlite")
		}
		if now, ok := s.renamed()[source]; ok {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s is now %s: use the new name, as the next version removes the old one", source, now))
		}
	}
	if sameAddr(c.Addr, c.DebugAddr) {
		return c, fmt.Errorf("-debug-addr: want another address than that of -addr, got %q", c.DebugAddr)
	}
	c.Warnings = append(c.Warnings, misspelled(env)...)
	return c, nil
}

// sameAddr reports whether two servers cannot listen on both addresses.
func sameAddr(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && portA == portB && portA != "0" && (hostA == hostB || hostA == "" || hostB == "")
}

// misspelled returns a warning for each environment variable whose name is nearly that
// of a setting. Others that begin with TROUPE_ may belong to something else.
func misspelled(env []string) []string {
	var known, warnings []string
	for _, s := range settings {
		known = append(known, s.env, s.oldEnv)
	}
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "TROUPE_") || slices.Contains(known, name) {
			continue
		}
		for _, k := range known {
			if distance(name, k) <= 2 {
				warnings = append(warnings, fmt.Sprintf("%s is not a setting and has no effect: did you mean %s?", name, k))
				break
			}
		}
	}
	return warnings
}

// distance returns how many bytes must be changed, added or removed to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
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

// parse reads flags and the command after them: none, backup FILE, restore FILE, or health.
// Flags may also follow the command.
func parse(c *Config, flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		return err
	}
	word := flags.Arg(0)
	files := map[string]*string{"backup": &c.Backup, "restore": &c.Restore}
	if files[word] == nil && word != "health" {
		return fmt.Errorf("unexpected argument %q", word)
	}
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return err
	}
	if word == "health" {
		if flags.NArg() != 0 {
			return fmt.Errorf("unexpected argument %q", flags.Arg(0))
		}
		c.Health = true
		return nil
	}
	if flags.NArg() != 1 || flags.Arg(0) == "" {
		return fmt.Errorf("want the name of one file: troupe %s FILE", word)
	}
	*files[word] = flags.Arg(0)
	return nil
}

// lookup returns the value of an environment variable, the last one if there
// are several, or "". No variable has the name "".
func lookup(env []string, name string) string {
	if name == "" {
		return ""
	}
	for _, entry := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			return v
		}
	}
	return ""
}

func printHelp(w io.Writer) {
	fmt.Fprint(w, "troupe serves the actors, the JavaScript client and the web UI.\n\n"+
		"Usage: troupe [flags]               serve\n"+
		"       troupe [flags] backup FILE   copy the data to a file, even while a server runs\n"+
		"       troupe [flags] restore FILE  replace the data with a backup; stop the server first\n"+
		"       troupe [flags] health        probe the server at -addr; the exit status is 0 or 1\n\n")
	for _, s := range settings {
		standard := s.standard
		if standard == "" {
			standard = "none"
		}
		fmt.Fprintf(w, "  %s\n        %s.\n        Default: %s. Environment: %s\n", strings.TrimSpace("-"+s.flag+" "+s.argument), s.help, standard, s.env)
	}
	fmt.Fprint(w, "  -version\n        print the version and exit.\n  -licenses\n        print the licences of all dependencies and exit.\n  -h\n        print this help and exit.\n\n"+
		"A flag overrides its environment variable.\n")
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

func setRate(perSecond *float64, v string) (err error) {
	if *perSecond, err = strconv.ParseFloat(v, 64); err != nil || !(*perSecond >= 0 && *perSecond <= math.MaxInt32) {
		return fmt.Errorf("want a number per second, or 0, got %q", v)
	}
	return nil
}
