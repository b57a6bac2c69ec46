package server

import (
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// Options set a server up. The zero value is a durable server with the limits
// that suit most: fill in only what you want otherwise. New copies what it needs,
// so that later changes of an Options have no effect.
//
// For every limit, 0 means the default that is named and a negative number means no
// limit. Without a limit, clients decide how much memory the server takes.
type Options struct {
	// Data is the directory in which the SQLite store keeps its files. It is made
	// if it does not exist. One process at a time owns it: New waits for up to
	// 10 seconds until another one lets go of it. Empty means "data" in the working
	// directory, unless there is a Store.
	Data string

	// Store is where actors live instead of in Data, such as
	//
	//	memory.New(memory.Options{Retention: registry.Retention()})
	//
	// which forgets everything with the process. It stays yours: close it after Close
	// or Run has returned. nil means that the server opens one in Data, and closes it.
	// Setting both is an error.
	Store store.Store

	// JournalBytes is how many bytes the journal of the store in Data may take on
	// disk. Clients that come back for events which are no longer in it learn that
	// they missed some. 0 means 64 MiB. A Store of your own has its own limit.
	JournalBytes int64

	// AllowOrigins are the origins of other pages that may use the server, such as
	// "https://example.com": see gateway.Options.AllowOrigins for patterns. Empty
	// means only pages of the server's own origin, and programs that are no browser.
	// Danger: "*" lets every page in the world act with its visitor's cookies.
	AllowOrigins []string

	// TrustedProxies are the addresses of the proxies in front of the server
	// (forwarded.ParseProxies reads them). Only their X-Forwarded-For, -Host and
	// -Proto headers are trusted. Empty means that clients connect directly. Behind
	// a proxy that is not named here, all clients seem to have the proxy's address,
	// and share its limits. Danger: a prefix that clients are in lets them choose
	// their address.
	TrustedProxies []netip.Prefix

	// BasePath is the path below which browsers find the server, such as "/app". A
	// proxy in front of the server may keep the path or strip it: both work. Empty
	// means the root.
	BasePath string

	// MaxSockets is how many sockets there may be in all. 0 means three quarters of
	// the files that the process may open.
	MaxSockets int

	// MaxActors is how many actors may be in memory. Beyond it, clients of other
	// actors get "overloaded". 0 means 250,000. An actor that is not used leaves
	// memory after a while (actor.Options.IdleAfter).
	MaxActors int

	// MaxBuffers is how many bytes may wait for actors, and how many more for clients
	// that do not read. Beyond it, new work gets "overloaded", and readers that are
	// stuck are cut off. 0 means 256 MiB.
	MaxBuffers int64

	// MaxSocketsPerIP is how many sockets one IP address may have; it may have twice
	// as many connections. Of IPv6, a network of /64 counts as one address. Addresses
	// of this machine are not limited. People behind one router share an address.
	// 0 means 2,000.
	MaxSocketsPerIP int

	// ConnectRatePerIP is how many sockets per second one IP address may open in the
	// long run; as many as MaxSocketsPerIP at once. 0 means 50.
	ConnectRatePerIP float64

	// CallRatePerIP is how many calls per second one IP address may make over HTTP,
	// without a socket; two seconds' worth at once. 0 means 500.
	CallRatePerIP float64

	// Logger gets what operators need to know: errors, panics of actors, refusals. It
	// never gets a secret, an argument or a parameter. The server logs through
	// LogHandler, so that clients cannot fill the disk. nil means slog.Default().
	Logger *slog.Logger

	// Check looks for mistakes in actors that cost time to find, such as a state that
	// changes outside of a turn, and tells clients in detail how their types differ
	// from the server's. For development and tests: false means off.
	Check bool

	// Drain is how long Run keeps serving after its context ends, with readiness
	// already failing, so that a load balancer stops sending clients. 0 means that the
	// shutdown begins at once.
	Drain time.Duration

	// Metrics makes Run answer /metrics, for everybody who can reach the server. A
	// handler of your own mounts Server.Metrics instead. false means off; the safe way
	// is DebugAddr.
	Metrics bool

	// DebugAddr is a TCP address ("127.0.0.1:6060") at which New serves Server.Debug:
	// metrics, health and profiles. Port 0 takes a free one, which the log tells.
	// Empty means none. Danger: profiles are not for the public; choose an address
	// that only operators reach.
	DebugAddr string

	// Version is what health reports. Empty means the version of the binary's main
	// module, if Go knows it.
	Version string
}

// withDefaults returns o with each zero value replaced by its default, and each
// limit that is off by 0, which is what the layers below take for "no limit".
func (o Options) withDefaults() (Options, error) {
	if o.Data != "" && o.Store != nil {
		return o, fmt.Errorf("both Data (%s) and a Store are set: want one of them", o.Data)
	}
	if o.Data == "" {
		o.Data = "data"
	}
	var err error
	if o.BasePath, err = CleanBasePath(o.BasePath); err != nil {
		return o, fmt.Errorf("BasePath: %w", err)
	}
	o.MaxSockets = limit(o.MaxSockets, openFiles()/4*3)
	o.MaxActors = limit(o.MaxActors, 250_000)
	o.MaxBuffers = limit(o.MaxBuffers, 256<<20)
	o.MaxSocketsPerIP = limit(o.MaxSocketsPerIP, 2000)
	o.ConnectRatePerIP = limit(o.ConnectRatePerIP, 50)
	o.CallRatePerIP = limit(o.CallRatePerIP, 500)
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

// limit returns the limit that an option sets; 0 means none.
func limit[T int | int64 | float64](option, standard T) T {
	switch {
	case option == 0:
		return standard
	case option < 0:
		return 0
	}
	return option
}

// basePaths is what a base path looks like, so that it is the same in an address, in
// HTML and in the configuration of a proxy.
var basePaths = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// reserved are the first parts of paths that the server has itself.
var reserved = []string{"api", "healthz", "readyz", "metrics"}

// CleanBasePath returns a base path as Options wants it, without a slash at its
// end: "/app" for "/app/", "" for "/". Its error says what a base path looks like.
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
		return "", fmt.Errorf("the server has /%s itself: want another path, such as /app", first)
	}
	return clean, nil
}
