package app

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/forwarded"
)

// Config is the configuration of a server. Make one with ParseConfig.
type Config struct {
	Addr          string            // to listen on
	BasePath      string            // below which browsers reach the server, such as /app; empty: the root
	Data          string            // directory of the SQLite store
	Store         string            // storeSQLite or storeMemory
	JournalBytes  int64             // limit of the SQLite store's journal
	SecureDelete  bool              // the store overwrites what is deleted
	AllowOrigins  []string          // origins besides the server's own whose pages may connect
	Hosts         forwarded.Hosts   // names of the server; empty means the default of server.Options
	Proxies       forwarded.Proxies // whose X-Forwarded-* headers are trusted
	MaxSockets    int               // in all; 0: three quarters of the open-files limit
	MaxActors     int               // in memory; 0: no limit
	MaxActorBytes int               // of states and logs in memory; 0: no limit; autoBytes: by the memory limit
	MaxBuffers    int               // in bytes; likewise
	TableCache    int64             // bytes of items of tables in memory

	// Limits of one IP address; 0 means none. Rates are per second. See server.Options.
	MaxSocketsPerIP  int
	ConnectRatePerIP float64
	CallRatePerIP    float64
	ActorRatePerIP   float64

	Cluster ClusterConfig // the zero value: the server is alone

	SessionKey string // signs sessions; empty: the key file in Data

	InspectToken string // in the inspector's link; empty: a new one with each start

	LogLevel  slog.Level
	LogJSON   bool
	DebugAddr string        // for operators; empty: none
	Inspect   string        // off, read or write
	Metrics   bool          // serve /metrics on Addr, too
	Drain     time.Duration // grace period between SIGTERM and shutdown
	Check     bool          // look for mistakes in actors, at the cost of time

	Version  bool   // print the version and exit
	Licenses bool   // print the licences of all dependencies and exit
	Backup   string // copy the data to this file and exit
	Restore  string // replace the data with this backup and exit
	Health   bool   // probe the server and exit
	CheckOf  string // check whether the actors in this directory or backup can be loaded, and exit
	AllItems bool   // with CheckOf: all items of Tables

	Warnings []string // of settings that have an old name, or no effect
}

// autoBytes is the value of Config.MaxActorBytes and MaxBuffers for server.Options' default.
const autoBytes = -1

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
	flags.BoolVar(&c.AllItems, "all", false, "check all items of tables")
	if err := parse(&c, flags, args); errors.Is(err, flag.ErrHelp) {
		printHelp(stdout)
		return c, err
	} else if err != nil {
		return c, fmt.Errorf("%w (troupe -h explains all flags)", err)
	}
	sources := map[string]string{} // of the settings that are given, by flag
	for _, s := range settings {
		value, source := s.standard, ""
		if v, name, ok := s.find(given, env); ok {
			value, source = v, name
			sources[s.flag] = name
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
	if err := c.checkCluster(sources); err != nil {
		return c, err
	}
	switch {
	case c.CheckOf == checkData:
		c.CheckOf = c.Data
	case c.CheckOf == "" && c.AllItems:
		return c, errors.New("-all: it is a flag of troupe check (troupe -h explains all flags)")
	}
	if c.Inspect != "off" && c.DebugAddr == "" {
		return c, errors.New("-inspect: it is served at -debug-addr: set that, too, such as -debug-addr 127.0.0.1:6060")
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

// checkData is the value of CheckOf for the data directory, until that is known. No file has
// this name.
const checkData = "/\x00"

// parse reads flags and the command after them: none, backup FILE, restore FILE, check,
// check FILE, or health. Flags may also follow the command.
func parse(c *Config, flags *flag.FlagSet, args []string) error {
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		return err
	}
	word := flags.Arg(0)
	files := map[string]*string{"backup": &c.Backup, "restore": &c.Restore}
	if files[word] == nil && word != "health" && word != "check" {
		return fmt.Errorf("unexpected argument %q", word)
	}
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return err
	}
	if word == "check" {
		if flags.NArg() > 1 {
			return fmt.Errorf("unexpected argument %q", flags.Arg(1))
		}
		c.CheckOf = cmp.Or(flags.Arg(0), checkData)
		return nil
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
		"       troupe [flags] backup FILE   copy the data to a file, even while a server runs;\n"+
		"                                    with -cluster the actors of all servers\n"+
		"       troupe [flags] restore FILE  replace the data with a backup; stop the server first.\n"+
		"                                    With -cluster: fill a new cluster with it, or with a data directory\n"+
		"       troupe [flags] check [FILE]  try whether this binary can load all actors of the data or a backup,\n"+
		"                                    even while a server runs; the exit status is 0 or 1\n"+
		"       troupe [flags] health        probe the server at -addr; the exit status is 0 or 1\n\n")
	for _, s := range settings {
		standard := s.standard
		if standard == "" {
			standard = "none"
		}
		fmt.Fprintf(w, "  %s\n        %s.\n        Default: %s. Environment: %s\n", strings.TrimSpace("-"+s.flag+" "+s.argument), s.help, standard, s.env)
	}
	fmt.Fprint(w, "  -all\n        with check: read all items of tables, not only the first and last 1,000.\n  -version\n        print the version and exit.\n  -licenses\n        print the licences of all dependencies and exit.\n  -h\n        print this help and exit.\n\n"+
		"A flag overrides its environment variable.\n")
}
