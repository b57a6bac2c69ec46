package app

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/web"
)

// Config is how a server is set up. Make one with ParseConfig.
type Config struct {
	Addr         string            // to listen on
	BasePath     string            // below which browsers find everything, such as /app; empty: at the root
	Data         string            // directory of stores that keep files
	Store        string            // one of stores
	JournalBytes int64             // how much of the log stores that keep files may keep
	AllowOrigins []string          // origins besides the server's own whose pages may connect
	Proxies      forwarded.Proxies // whose word on a client's address counts
	MaxSockets   int               // in all; 0: as many as there may be open files, less some
	MaxActors    int               // in memory; 0: any number
	MaxBuffers   int               // bytes of what waits; 0: any number

	// What clients of one IP address may have and do; 0 means no limit. Rates are per
	// second. See server.Options.
	MaxSocketsPerIP  int
	ConnectRatePerIP float64
	CallRatePerIP    float64

	SessionKey string // that signs sessions; empty: one that is kept in Data
	LogLevel   slog.Level
	LogJSON    bool
	DebugAddr  string        // for those who run the server to listen on; empty: nowhere
	Metrics    bool          // figures for Prometheus also on Addr
	Drain      time.Duration // from the order to end until it is followed
	Check      bool          // look for mistakes in actors that cost time to look for

	Version  bool   // print the version and end
	Licenses bool   // print the licences of what is in the binary and end
	Backup   string // copy the data to this file and end
	Health   bool   // ask the server how it is and end

	Renamed []string // a line for each setting that was given by its old name
}

// The values of -store.
const (
	storeSQLite = "sqlite"
	storeMemory = "memory"
)

// setting is one row of the table of settings: a flag, and an environment
// variable for when the flag is not given.
type setting struct {
	flag, env string
	standard  string // the default
	argument  string // how the help names the value; empty: a flag that may stand without one
	help      string
	set       func(c *Config, value string) error

	// The names that it had in the version before, which work in this one, too. The
	// help does not have them.
	oldFlag, oldEnv string
}

var settings = []setting{
	{
		flag: "addr", env: "TROUPE_ADDR", standard: ":8080", argument: "[host]:port",
		help: "where to listen; port 0 takes a free one. The variable PORT sets the port alone",
		set:  setAddr,
	},
	{
		flag: "base-path", env: "TROUPE_BASE_PATH", standard: "", argument: "/path",
		help: "below which path browsers find the server, such as /app; a proxy in front of it may take the path away or leave it",
		set:  setBasePath,
	},
	{
		flag: "data", env: "TROUPE_DATA", standard: "./data", argument: "directory",
		help: "where the store keeps its files; it is made if it does not exist",
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
		help: "where actors live: sqlite (a file in the data directory) or memory (forgets all when the server ends)",
		set: func(c *Config, v string) error {
			if v != storeSQLite && v != storeMemory {
				return fmt.Errorf("there is no store %q; there is sqlite and memory", v)
			}
			c.Store = v
			return nil
		},
	},
	{
		flag: "journal-bytes", env: "TROUPE_JOURNAL_BYTES", standard: "67108864", argument: "n",
		help: "how large the journal on disk may grow; clients that come back for what is no longer in it are told (overflow)",
		set: func(c *Config, v string) (err error) {
			if c.JournalBytes, err = strconv.ParseInt(v, 10, 64); err != nil || c.JournalBytes < 1 {
				return fmt.Errorf("want a number of bytes, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "allow-origin", env: "TROUPE_ALLOW_ORIGIN", standard: "", argument: "origin,…",
		help: "origins besides the server's own whose pages may connect, such as https://example.com",
		set:  setOrigins,
	},
	{
		flag: "trusted-proxies", env: "TROUPE_TRUSTED_PROXIES", standard: "", argument: "address,…",
		help: "proxies in front of the server, as in 127.0.0.1,10.0.0.0/8: what they say in X-Forwarded-For, -Host and -Proto is believed, and from nobody else",
		set: func(c *Config, v string) (err error) {
			if c.Proxies, err = forwarded.ParseProxies(v); err != nil {
				return fmt.Errorf("want addresses such as 127.0.0.1 or 10.0.0.0/8: %w", err)
			}
			return nil
		},
	},
	{
		flag: "max-sockets", env: "TROUPE_MAX_SOCKETS", standard: "0", argument: "n",
		help: "how many sockets there may be; 0 for three quarters of how many files the process may open",
		set:  func(c *Config, v string) error { return setCount(&c.MaxSockets, v) },
	},
	{
		flag: "max-actors", env: "TROUPE_MAX_ACTORS", standard: "250000", argument: "n",
		help: "how many actors may be in memory; 0 for any number. One that nobody needs leaves it after a while",
		set:  func(c *Config, v string) error { return setCount(&c.MaxActors, v) },
	},
	{
		flag: "max-buffers", env: "TROUPE_MAX_BUFFERS", standard: "268435456", argument: "n",
		help: "how many bytes may wait for actors, and as many for clients that do not take them; 0 for any number",
		set:  func(c *Config, v string) error { return setCount(&c.MaxBuffers, v) },
	},
	{
		flag: "max-sockets-per-ip", env: "TROUPE_MAX_SOCKETS_PER_IP", standard: "2000", argument: "n",
		help: "how many sockets one IP address may have, and twice as many connections; 0 for any number. People behind one router share an address. Clients on this machine are not limited",
		set:  func(c *Config, v string) error { return setCount(&c.MaxSocketsPerIP, v) },

		oldFlag: "address-sockets", oldEnv: "TROUPE_ADDRESS_SOCKETS",
	},
	{
		flag: "connect-rate-per-ip", env: "TROUPE_CONNECT_RATE_PER_IP", standard: "50", argument: "n",
		help: "how many sockets per second one IP address may open in the long run; 0 for any number",
		set:  func(c *Config, v string) error { return setRate(&c.ConnectRatePerIP, v) },

		oldFlag: "address-connects", oldEnv: "TROUPE_ADDRESS_CONNECTS",
	},
	{
		flag: "call-rate-per-ip", env: "TROUPE_CALL_RATE_PER_IP", standard: "500", argument: "n",
		help: "how many calls per second one IP address may make over HTTP, without a socket; 0 for any number",
		set:  func(c *Config, v string) error { return setRate(&c.CallRatePerIP, v) },

		oldFlag: "address-calls", oldEnv: "TROUPE_ADDRESS_CALLS",
	},
	{
		flag: "session-key", env: "TROUPE_SESSION_KEY", standard: "", argument: "secret",
		help: "what signs the visitors' sessions, 32 bytes or more; another one ends them. Without, one is made and kept in the data directory. Others on the machine see a flag, not a variable",
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
		help: "what to log: debug, info, warn or error; and how: text or json. Either may be left out",
		set:  setLog,
	},
	{
		flag: "debug-addr", env: "TROUPE_DEBUG_ADDR", standard: "", argument: "host:port",
		help: "where those who run the server find /metrics, /readyz, /healthz and /debug/pprof, such as 127.0.0.1:6060; not for everybody to reach",
		set: func(c *Config, v string) error {
			if v == "" {
				c.DebugAddr = ""
				return nil
			}
			if _, port, err := net.SplitHostPort(v); err != nil || port == "" {
				return fmt.Errorf("want host:port, got %q", v)
			}
			c.DebugAddr = v
			return nil
		},
	},
	{
		flag: "metrics", env: "TROUPE_METRICS", standard: "false",
		help: "answer /metrics at the main address, too, where everybody can read it",
		set: func(c *Config, v string) (err error) {
			if c.Metrics, err = strconv.ParseBool(v); err != nil {
				return fmt.Errorf("want true or false, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "drain", env: "TROUPE_DRAIN", standard: "0s", argument: "duration",
		help: "how long the server goes on after SIGTERM with /readyz saying 503, so that a load balancer sends nobody any more",
		set: func(c *Config, v string) (err error) {
			if c.Drain, err = time.ParseDuration(v); err != nil || c.Drain < 0 {
				return fmt.Errorf("want a duration such as 5s, got %q", v)
			}
			return nil
		},
	},
	{
		flag: "check", env: "TROUPE_CHECK", standard: "false",
		help: "look for mistakes in actors, such as a state that changes outside a turn; for development, it costs time",
		set: func(c *Config, v string) (err error) {
			if c.Check, err = strconv.ParseBool(v); err != nil {
				return fmt.Errorf("want true or false, got %q", v)
			}
			return nil
		},
	},
}

// ParseConfig reads the configuration from the command line's arguments and,
// for what they leave open, from environment variables ("NAME=value"). It
// returns flag.ErrHelp after it has printed the help to stdout.
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
	flags.BoolVar(&c.Version, "version", false, "print the version and end")
	flags.BoolVar(&c.Licenses, "licenses", false, "print the licences of what is in the binary and end")
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
		if now, ok := s.renamed()[source]; ok {
			c.Renamed = append(c.Renamed, fmt.Sprintf("%s is now %s; the next version does not know the old name", source, now))
		}
	}
	return c, nil
}

// find returns the value of a setting that was given, and the flag or the variable
// that it is from.
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

// parse reads flags, and what comes after them: nothing, backup and a file, or health.
// The flags may also come after the word.
func parse(c *Config, flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		return err
	}
	word := flags.Arg(0)
	if word != "backup" && word != "health" {
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
		return errors.New("want the name of one file: troupe backup FILE")
	}
	c.Backup = flags.Arg(0)
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
		"       troupe [flags] backup FILE   copy the data to a file, also while a server runs\n"+
		"       troupe [flags] health        ask the server at -addr how it is; the exit status is 0 or 1\n\n")
	for _, s := range settings {
		standard := s.standard
		if standard == "" {
			standard = "none"
		}
		fmt.Fprintf(w, "  %s\n        %s.\n        Default: %s. Environment: %s\n", strings.TrimSpace("-"+s.flag+" "+s.argument), s.help, standard, s.env)
	}
	fmt.Fprint(w, "  -version\n        print the version and end.\n  -licenses\n        print the licences of what is in the binary and end.\n  -h\n        print this and end.\n\n"+
		"A flag goes before its environment variable, that before the default.\n")
}

func setAddr(c *Config, v string) error {
	_, port, err := net.SplitHostPort(v)
	if err != nil || port == "" {
		return fmt.Errorf("want host:port or :port, got %q", v)
	}
	c.Addr = v
	return nil
}

func setBasePath(c *Config, v string) (err error) {
	if c.BasePath, err = server.CleanBasePath(v); err != nil || c.BasePath == "" {
		return err
	}
	first, _, _ := strings.Cut(c.BasePath[1:], "/")
	if slices.Contains(web.Reserved, first) {
		return fmt.Errorf("the server has /%s itself: want another path, such as /app", first)
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
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return fmt.Errorf("want origins such as https://example.com, got %q", origin)
		}
		c.AllowOrigins = append(c.AllowOrigins, origin)
	}
	return nil
}

func setLog(c *Config, v string) error {
	for word := range strings.SplitSeq(v, ",") {
		switch word = strings.TrimSpace(word); word {
		case "debug":
			c.LogLevel = slog.LevelDebug
		case "info":
			c.LogLevel = slog.LevelInfo
		case "warn":
			c.LogLevel = slog.LevelWarn
		case "error":
			c.LogLevel = slog.LevelError
		case "json", "text":
			c.LogJSON = word == "json"
		default:
			return fmt.Errorf("want a level (debug, info, warn, error) and a format (text, json), got %q", word)
		}
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
