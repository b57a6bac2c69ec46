package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/inspect"
	"github.com/troupe-dev/troupe/backend/store"
)

// Options configure a server. The zero value is a durable server with limits that suit
// most: set only what you want to change. New copies what it needs: later changes of an
// Options have no effect.
//
// For each limit, 0 means the default and a negative number means no limit. Without a
// limit, clients decide how much memory the server takes.
type Options struct {
	// Data is the directory of the SQLite store. It is created if it does not exist.
	// One process at a time owns it: New waits for up to 10 seconds until another
	// process releases it. Empty means "data" in the working directory, unless Store
	// is set.
	Data string

	// Store replaces the store in Data, for example by
	//
	//	memory.New(memory.Options{Retention: registry.Retention()})
	//
	// which forgets everything when the process ends. You close it, after Close or Run
	// has returned. nil means that the server opens and closes a store in Data. Setting
	// both is an error.
	Store store.Store

	// Cluster makes the server one of several that run the same actors, for example by
	//
	//	cluster.New(cluster.Options{Node: "a", URL: "nats://…"})
	//
	// of backend/cluster. Its store replaces the one in Data. New waits until the node has
	// joined, and Close gives its actors to other nodes first. The server closes the Cluster,
	// also if New fails. nil means that the server is alone. Setting Data or Store, too, is an
	// error.
	Cluster host.Cluster

	// Listener is where the server answers while New waits for its Cluster, which may take as long
	// as it takes to start the other nodes: /healthz and /readyz with 503 and the reason, and all else
	// with 503. Serve goes on with it. New closes it if it fails, and Close in any case. nil means
	// that the server answers once Run or Serve is called. It needs a Cluster.
	Listener net.Listener

	// JournalBytes limits the journal of the store in Data or of the Cluster's node, in bytes. Clients that
	// resume from an event which the journal no longer has get a gap. 0 means 64 MiB;
	// there is no "no limit". Your own Store has its own limit: setting both is an error.
	JournalBytes int64

	// NoSecureDelete leaves what was deleted or replaced in unused parts of the store's file
	// until something else takes their place. By default it is overwritten, so that a
	// destroyed actor leaves the file, which costs 13 to 15 % of the store's processor time.
	NoSecureDelete bool

	// AllowOrigins are further origins whose pages may use the server, such as
	// "https://example.com": see gateway.Options.AllowOrigins for patterns. Empty
	// means only pages of the server's own origin, and programs that are not browsers.
	// Danger: "*" lets every page in the world act with its visitor's cookies.
	AllowOrigins []string

	// Hosts are the names by which clients reach the server, such as "example.com"
	// (forwarded.ParseHosts reads them). It answers requests for other hosts with 421, but
	// always answers for localhost and IP addresses. Empty means any host, except that Run
	// and Serve on a loopback address without TrustedProxies answer for localhost, IP
	// addresses and the name in Run's address only. Set it on every server that others
	// reach: otherwise a page of any site can be led to the server under the site's name,
	// and then counts as the server's own.
	Hosts forwarded.Hosts

	// TrustedProxies are the addresses of the proxies in front of the server
	// (forwarded.ParseProxies reads them). Only their X-Forwarded-For, -Host and
	// -Proto headers are trusted. Empty means that clients connect directly. Behind
	// a proxy that is not listed, all clients seem to have the proxy's address and
	// share its limits. Danger: a prefix that contains clients lets them choose their
	// address.
	TrustedProxies []netip.Prefix

	// BasePath is the path below which browsers reach the server, such as "/app". A
	// proxy in front of the server may keep or strip it. Empty means the root.
	BasePath string

	// MaxSockets limits open sockets. 0 means three quarters of the limit of open
	// files (ulimit -n).
	MaxSockets int

	// MaxActors limits actors in memory. Beyond it, clients of further actors get
	// "overloaded". 0 means 250,000. An idle actor leaves memory after a while
	// (actor.Options.IdleAfter).
	MaxActors int

	// MaxActorBytes limits the bytes of the states, as JSON, and of the logs of the actors
	// in memory; Go's values take about twice as much. Shortly before it, idle actors leave
	// memory early. Beyond it, clients of actors that are not in memory get "overloaded". 0
	// means a quarter of the container's memory limit (MemoryLimit), or of the machine's memory.
	MaxActorBytes int64

	// MaxBuffers limits the bytes that wait for actors, and again those that wait for
	// slow clients. Beyond it, new work gets "overloaded", and blocked clients are cut
	// off. 0 means 256 MiB, or an eighth of the container's memory limit (MemoryLimit)
	// if that is less.
	MaxBuffers int64

	// TableCache limits the items of tables (actor.Table) that are kept in memory, of all
	// actors, in bytes. Turns read the others from the store. 0 means 64 MiB; there is no
	// "no limit".
	TableCache int64

	// MaxSocketsPerIP limits the sockets of one IP address, and its connections to
	// twice as many. An IPv6 /64 counts as one address. Addresses of this machine are
	// not limited. People behind one router share an address. 0 means 2,000.
	MaxSocketsPerIP int

	// ConnectRatePerIP limits the sockets per second that one IP address may open in
	// the long run, with bursts of MaxSocketsPerIP. 0 means 50.
	ConnectRatePerIP float64

	// CallRatePerIP limits the calls per second of one IP address over HTTP, without a
	// socket, with bursts of two seconds' worth. 0 means 500.
	CallRatePerIP float64

	// ActorRatePerIP limits the new actors per second that one IP address may make in the
	// long run, with bursts of 500: an actor stays in the store for ever. 0 means 5.
	ActorRatePerIP float64

	// Logger gets errors, panics of actors and refusals. It never gets a secret, an
	// argument or a parameter. The server logs through LogHandler, so that clients
	// cannot fill the disk. A handler that blocks also blocks the actors that log: use
	// a LogQueue for a pipe or a slow disk. nil means slog.Default().
	Logger *slog.Logger

	// Check looks for mistakes in actors at the cost of time, such as a state that
	// changes outside a turn, and tells clients the causes of internal errors and how
	// their types differ from the server's. For development and tests: false means off.
	Check bool

	// Drain is how long Run keeps serving after its context ends, with readiness
	// already failing, so that a load balancer stops sending clients. 0 means that the
	// shutdown begins at once.
	Drain time.Duration

	// Metrics makes Run serve /metrics to everyone who can reach the server. Your own
	// handler mounts Server.Metrics instead. false means off; DebugAddr is the safe way.
	Metrics bool

	// DebugAddr is a TCP address ("127.0.0.1:6060") at which New serves Server.Debug:
	// metrics, health and profiles. Port 0 takes a free one; the log has it. It answers
	// for localhost, IP addresses, its own name and Hosts. Empty means none. Danger:
	// profiles are not for the public; choose an address that only operators reach.
	DebugAddr string

	// Inspect is what operators may do with the inspector (docs/inspect.md), which Server.Debug
	// serves at /inspect: "read" to look at all actors, with what users wrote in them, or
	// "write" to change them, too. Its link, with a token, is in the log. Empty and "off" mean
	// that there is none.
	Inspect string

	// InspectToken is the secret in the inspector's link. Empty means a random one, which ends
	// with the process.
	InspectToken string

	// Version is the version that Health reports. Empty means the version of the
	// binary's main module, if Go knows it.
	Version string
}

// CleanOrigin returns a pattern for AllowOrigins as origins are compared with it. The
// error says why the pattern matches no origin that a browser sends.
func CleanOrigin(pattern string) (string, error) { return gateway.CleanOrigin(pattern) }

// withDefaults returns o with each zero value replaced by its default, and each negative
// limit by 0, which means "no limit" in the layers below.
func (o Options) withDefaults() (Options, error) {
	if err := o.check(); err != nil {
		return o, err
	}
	if o.Data == "" && o.Cluster == nil {
		o.Data = "data"
	}
	var err error
	if o.BasePath, err = CleanBasePath(o.BasePath); err != nil {
		return o, fmt.Errorf("BasePath: %w", err)
	}
	o.Hosts, _ = forwarded.ParseHosts(strings.Join(o.Hosts, ",")) // checked above
	o.MaxSockets = limit(o.MaxSockets, openFiles()/4*3)
	o.MaxActors = limit(o.MaxActors, 250_000)
	o.MaxActorBytes = limit(o.MaxActorBytes, defaultMaxActorBytes(os.DirFS("/")))
	o.MaxBuffers = limit(o.MaxBuffers, defaultMaxBuffers(MemoryLimit()))
	o.MaxSocketsPerIP = limit(o.MaxSocketsPerIP, 2000)
	o.ConnectRatePerIP = limit(o.ConnectRatePerIP, 50)
	o.CallRatePerIP = limit(o.CallRatePerIP, 500)
	o.ActorRatePerIP = limit(o.ActorRatePerIP, 5)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Logger = slog.New(LogHandler(o.Logger.Handler()))
	if o.Version == "" {
		if info, ok := debug.ReadBuildInfo(); ok {
			o.Version = info.Main.Version
		}
	}
	return o, nil
}

// minInspectToken is the length of the shortest token that is not too easy to guess.
const minInspectToken = 20

// maxDrain is the longest drain. Supervisors kill a process long before.
const maxDrain = time.Hour

// CheckAddr reports whether addr is a TCP address to listen on. Its error says what to
// write.
func CheckAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(host, " /") {
		return fmt.Errorf("want host:port or :port with a port from 0 to 65535, got %q", addr)
	}
	return nil
}

// check refuses options that cannot take effect, and a process whose limits are too low.
func (o Options) check() error {
	switch files := openFiles(); {
	case o.Data != "" && o.Store != nil:
		return fmt.Errorf("both Data (%s) and a Store are set: want one of them", o.Data)
	case o.Cluster != nil && (o.Data != "" || o.Store != nil):
		return errors.New("a Cluster and Data or a Store are set: the cluster has a store of its own")
	case o.Listener != nil && o.Cluster == nil:
		return errors.New("a Listener without a Cluster is set: New waits for nothing, so pass it to Serve")
	case o.Store != nil && o.JournalBytes != 0:
		return errors.New("both JournalBytes and a Store are set: set the limit in the options of the store")
	case o.JournalBytes < 0:
		return fmt.Errorf("JournalBytes: want a number of bytes, or 0 for 64 MiB, got %d", o.JournalBytes)
	case o.TableCache < 0:
		return fmt.Errorf("TableCache: want a number of bytes, or 0 for 64 MiB, got %d", o.TableCache)
	case o.Drain < 0 || o.Drain > maxDrain:
		return fmt.Errorf("option Drain: want a duration from 0 to %v, got %v", maxDrain, o.Drain)
	case files > 0 && files < minFiles:
		return fmt.Errorf("the limit of open files is %d: want %d or more, by ulimit -n 65536 in a shell, or LimitNOFILE=65536 in a systemd unit", files, minFiles)
	}
	for _, p := range o.TrustedProxies {
		if !p.IsValid() {
			return errors.New("TrustedProxies: a prefix is not valid: use forwarded.ParseProxies or netip.MustParsePrefix")
		}
	}
	if _, err := forwarded.ParseHosts(strings.Join(o.Hosts, ",")); err != nil {
		return fmt.Errorf("option Hosts: %w", err)
	}
	for _, origin := range o.AllowOrigins {
		if _, err := CleanOrigin(origin); err != nil {
			return fmt.Errorf("AllowOrigins: %w", err)
		}
	}
	if _, err := inspect.ParseMode(o.Inspect); err != nil {
		return fmt.Errorf("option Inspect: %w", err)
	}
	if o.InspectToken != "" && len(o.InspectToken) < minInspectToken {
		return fmt.Errorf("option InspectToken: want %d characters or more, got %d", minInspectToken, len(o.InspectToken))
	}
	if o.DebugAddr != "" {
		if err := CheckAddr(o.DebugAddr); err != nil {
			return fmt.Errorf("DebugAddr: %w", err)
		}
	}
	return nil
}

// limit returns an option's limit; 0 means none.
func limit[T int | int64 | float64](option, standard T) T {
	switch {
	case option == 0:
		return standard
	case option < 0:
		return 0
	}
	return option
}

// basePaths matches base paths that are written alike in a URL, in HTML and in a proxy's
// configuration.
var basePaths = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// reserved are the first segments of the server's own paths.
var reserved = []string{"api", "healthz", "readyz", "metrics"}

// CleanBasePath returns a base path in the form of Options, without a trailing slash:
// "/app" for "/app/", "" for "/". Its error says what to write.
func CleanBasePath(path string) (string, error) {
	clean := strings.TrimSuffix(path, "/")
	if clean == "" {
		return "", nil
	}
	if !basePaths.MatchString(clean) {
		return "", fmt.Errorf("want a path of letters, digits and -._~, such as /app, got %q", path)
	}
	first, _, _ := strings.Cut(clean[1:], "/")
	if slices.Contains(reserved, first) {
		return "", fmt.Errorf("the server itself uses /%s: want another path, such as /app", first)
	}
	return clean, nil
}
