package cluster

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store/jetstream"
)

// EmbedOptions are the options of a nats-server in this process.
type EmbedOptions struct {
	// Name is the server's name among the others: unique, and the same at each start, because
	// the others know it by that.
	Name string

	Dir    string   // of its files
	Listen string   // host:port for the other servers; port 0: any
	Peers  []string // host:port of the others; itself may be among them. With one there are no others

	// Secret is the password that the servers of the cluster share. Anyone who has it can read
	// and change everything; if it is empty, anyone who reaches the port can.
	Secret string
	TLS    *tls.Config // between servers; nil: none

	// Voter says that the server stores data and votes. A cluster has three of them.
	Voter bool

	// Guest says that the server is there for a short time. The others do not connect to it.
	Guest bool

	Logger *slog.Logger // gets the server's log [slog.Default()]
}

// Embedded is a nats-server in this process. Only the process itself is its client.
type Embedded struct {
	server   *server.Server
	password string // of clients
	voter    bool
	twin     <-chan struct{} // closed when another server has this one's name
}

const (
	user     = "troupe"         // of all clients and servers
	patience = 10 * time.Second // with a server that starts, or a handshake
)

// maxPayload is the largest message, in bytes: NATS's own limit is smaller than a large state.
const maxPayload = 8 << 20

// Embed starts a server. It waits until the server takes connections, but not for other
// servers: without most of the voters, whatever is stored or read fails. A directory that a
// server without others has filled is refused with others, and the other way round.
func Embed(o EmbedOptions) (*Embedded, error) {
	host, port, err := splitPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("cluster: listen on %q: %w", o.Listen, err)
	}
	if err := o.checkDir(); err != nil {
		return nil, err
	}
	if err := o.checkRoom(); err != nil {
		return nil, err
	}
	options := &server.Options{
		ServerName: o.Name, Username: user, Password: rand.Text(),
		NoSigs: true, MaxPayload: maxPayload,
		JetStream: o.Voter, StoreDir: o.Dir,
		SyncAlways: true, // else a power cut of all servers loses what was acknowledged
		// Only the disk is the limit. By default it is three quarters of the disk, at which
		// streams refuse what they get, and a server that starts there never gets it.
		JetStreamMaxStore: 1 << 60,
	}
	if o.alone() {
		// Servers that may have others store nothing before there are two.
		options.Host, options.Port = host, port
		options.Password = cmp.Or(o.Secret, options.Password)
		if o.TLS != nil {
			options.TLS, options.TLSVerify, options.TLSConfig, options.TLSTimeout = true, true, o.TLS, patience.Seconds()
		}
	} else {
		// A server that does not listen for clients never listens for other servers either. So
		// it does, for those of this machine, who do not know the password.
		options.Host, options.Port = "127.0.0.1", server.RANDOM_PORT
		options.Cluster = server.ClusterOpts{Name: "troupe", Host: host, Port: port, TLSConfig: o.TLS, NoAdvertise: o.Guest}
		if o.Secret != "" {
			options.Cluster.Username, options.Cluster.Password = user, o.Secret
		}
		for _, peer := range o.Peers {
			route := &url.URL{Scheme: "nats", Host: peer}
			if o.Secret != "" {
				route.User = url.UserPassword(user, o.Secret)
			}
			options.Routes = append(options.Routes, route)
		}
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("cluster: start the server: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	log := newServerLog(o.Logger)
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	for begin := time.Now(); !s.ReadyForConnections(patience / 100); {
		why := log.whyNot()
		if why == "" && time.Since(begin) < patience {
			continue
		}
		s.Shutdown()
		return nil, fmt.Errorf("cluster: the embedded server does not start: %s", cmp.Or(why, "see its log"))
	}
	return &Embedded{s, options.Password, o.Voter, log.twin}, nil
}

// alone reports whether the server is the only one that stores data. It has no others then, and
// takes clients at Listen in their place.
func (o *EmbedOptions) alone() bool { return len(o.Peers) <= 1 && !o.Guest }

// checkDir returns an error if the files are of a server that had others and this one has none, or
// the other way round. A server with others finds no streams in the files of one that was alone:
// it would begin with empty ones. One that is alone may have an old copy.
func (o *EmbedOptions) checkDir() error {
	if !o.Voter {
		return nil // it stores nothing
	}
	// Where nats-server keeps the streams of its only account, and what servers vote about.
	dir := filepath.Join(o.Dir, server.JetStreamStoreDir)
	streams, err := os.ReadDir(filepath.Join(dir, server.DEFAULT_GLOBAL_ACCOUNT, "streams"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(streams) == 0 {
		return nil
	} else if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	_, err = os.Stat(filepath.Join(dir, server.DEFAULT_SYSTEM_ACCOUNT, "_js_", "_meta_"))
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cluster: %w", err)
	case err != nil && !o.alone():
		return fmt.Errorf("cluster: %s is of a cluster of one node: back it up, and restore it into new directories", o.Dir)
	case err == nil && o.alone():
		return fmt.Errorf("cluster: %s is of a cluster of several nodes: back it up, and restore it into a new directory", o.Dir)
	}
	return nil
}

// block is how much free space a server needs to start: it may rewrite files of its streams, and
// none of them is larger.
const block = 8 << 20

// checkRoom returns an error if the disk is full, or cannot be written: the server would panic, in a
// goroutine of its own.
func (o *EmbedOptions) checkRoom() error {
	if !o.Voter {
		return nil
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	path := filepath.Join(o.Dir, ".room")
	err := errors.Join(os.WriteFile(path, make([]byte, block), 0o600), os.Remove(path))
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("cluster: the embedded server needs %d MiB of room to start: %w", block>>20, err)
	case err != nil:
		return fmt.Errorf("cluster: the embedded server cannot write: %w", err)
	}
	return nil
}

// splitPort is net.SplitHostPort. Port 0 becomes what the server takes for any.
func splitPort(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	if port, err = strconv.Atoi(text); err != nil {
		return "", 0, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// Connect makes a client of the server, as a store needs it.
func (e *Embedded) Connect() (*nats.Conn, error) {
	return jetstream.Connect("", nats.InProcessServer(e.server), nats.UserInfo(user, e.password))
}

// Address returns where the server listens for the others.
func (e *Embedded) Address() net.Addr {
	if of := e.server.ClusterAddr(); of != nil {
		return of
	}
	return e.server.Addr()
}

// Check returns why the server cannot be used: a full disk disables it until the process starts
// again, also when there is room meanwhile.
func (e *Embedded) Check() error {
	switch {
	case !e.server.Running():
		return errors.New("cluster: the embedded server has ended")
	case e.voter && !e.server.JetStreamEnabled():
		return errors.New("cluster: the embedded server has disabled its storage: see its log, and whether the disk is full; then restart")
	}
	return nil
}

// current reports whether the server has everything that it should have.
func (e *Embedded) current() bool {
	return !e.voter || e.server.Healthz(&server.HealthzOptions{}).StatusCode == http.StatusOK
}

// Stop ends the server, and returns when its files are closed. It leads nothing any more when it
// ends, so that the others do not have to find out that it is gone.
func (e *Embedded) Stop() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}
