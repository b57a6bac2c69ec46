package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Mode says what an inspector may do.
type Mode string

// Modes of an inspector.
const (
	Off   Mode = "off"   // nothing: there is none
	Read  Mode = "read"  // look
	Write Mode = "write" // look, and run actions, disconnect, reset, edit and destroy
)

// ParseMode reads a mode; empty is Off. The error says what to write.
func ParseMode(text string) (Mode, error) {
	switch m := Mode(text); m {
	case Off, Read, Write:
		return m, nil
	case "":
		return Off, nil
	}
	return Off, fmt.Errorf("want off, read or write, got %q", text)
}

// Path is where the handler of an inspector has to be mounted, with all below it.
const Path = "/inspect"

// Gateway is what an inspector sees of a gateway. All methods may be called at the same time.
type Gateway interface {
	Traffic() host.Traffic
	Channels(actor host.Ref, attachments []host.Attachment) map[host.Attachment]host.Channel
}

// Options of an Inspector. Node, Gateway and Logger are required.
type Options struct {
	Node    *runtime.Inspector
	Gateway Gateway
	Peers   host.Peers // the other nodes of the cluster; nil: there are none
	Write   bool       // else nothing can be changed
	Logger  *slog.Logger

	// Token is the secret that lets people in. Empty means a random one, which ends with
	// the process.
	Token string

	// Hosts are the names by which browsers reach the inspector, beside localhost and IP
	// addresses.
	Hosts forwarded.Hosts

	Types   string // the TypeScript module of the registry, for the names of parameters
	Version string // of the server
}

// An Inspector serves the pages and the API. Its methods may be called at the same time.
type Inspector struct {
	o       Options
	node    *runtime.Inspector
	gateway Gateway
	log     *slog.Logger
	access  access
	samples *samples
	handler http.Handler
	api     http.Handler // without access checks

	life    context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup
	streams atomic.Int64
}

// New makes an inspector. Call Close after use.
func New(o Options) *Inspector {
	i := &Inspector{o: o, node: o.Node, gateway: o.Gateway, log: o.Logger, access: newAccess(o.Token, o.Hosts)}
	i.life, i.end = context.WithCancel(context.Background())
	i.samples = newSamples(func() counts { return count(o.Node, o.Gateway) })
	i.api = i.apiRoutes()
	i.handler = i.routes()
	i.running.Go(func() { i.samples.run(i.life) })
	return i
}

// Close has all streams end, without waiting for them.
func (i *Inspector) Close() {
	i.end()
	i.running.Wait()
}

// Handler serves everything below Path.
func (i *Inspector) Handler() http.Handler { return i.handler }

// Link returns the address that lets a browser in. origin is that of the debug address, such
// as http://localhost:6060.
func (i *Inspector) Link(origin string) string {
	return origin + Path + "/?token=" + url.QueryEscape(i.access.token)
}

func (i *Inspector) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(i.access.headers, i.access.checkHost, i.access.checkSite)
	r.Get(Path, http.RedirectHandler(Path+"/", http.StatusFound).ServeHTTP)
	r.Get(Path+"/assets/{name}", serveAsset)
	r.With(i.access.enter, i.access.authenticate(refusePage)).Get(Path+"/*", servePage)
	r.With(i.access.authenticate(refuseCall), i.elsewhere).Mount(Path+"/api", i.api)
	return r
}

// apiRoutes returns the API, with paths below Path/api.
func (i *Inspector) apiRoutes() http.Handler {
	r := chi.NewRouter()
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusNotFound, wire.CodeNotFound, "there is no such address; docs/inspect.md has all")
	})
	r.Get("/overview", i.getOverview)
	r.Get("/cluster", i.getCluster)
	r.Get("/definitions", serveOffers(newOffers(i.node.Definitions(), i.o.Types), i.o.Write))
	r.Get("/actors", i.getActors)
	r.Get("/actor", i.findActor)
	r.Get("/stream", i.stream)
	r.Route("/actors/{id}", func(r chi.Router) {
		r.Get("/", i.getActor)
		r.Get("/log", i.getLog)
		r.Get("/tables/{field}", i.getItems)
		r.Group(func(r chi.Router) {
			if !i.o.Write {
				r.Use(lookOnly)
			}
			r.Use(jsonOnly)
			r.Post("/call", i.call)
			r.Post("/disconnect", i.disconnect)
			r.Post("/reset", i.reset)
			r.Post("/state", i.editState)
			r.Post("/destroy", i.destroy)
			r.Post("/messages/{number}", i.changeMessage)
		})
	})
	return r
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	text := json.NewEncoder(w)
	text.SetEscapeHTML(false)
	_ = text.Encode(value) // an error means that the client is gone
}

// writeError answers with an error.
func writeError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": code, "message": message}) // likewise
}

// fail answers with an error of the node.
func (i *Inspector) fail(w http.ResponseWriter, err error) {
	var f *host.Fault
	switch {
	case errors.As(err, &f):
	case errors.Is(err, context.DeadlineExceeded):
		f = host.Faultf(wire.CodeTimeout, "the actor did not answer within %v", patience)
	case errors.Is(err, context.Canceled):
		return // the client is gone
	default:
		i.log.Error("inspector: reading failed", "error", err)
		f = host.Faultf(wire.CodeUnavailable, "the store cannot be read; see the server log")
	}
	status := http.StatusUnprocessableEntity
	switch code := f.Code; {
	case code == wire.CodeNotFound || code == wire.CodeUnknownActor:
		status = http.StatusNotFound
	case code == "changed" || code == "under_way":
		status = http.StatusConflict
	case code == wire.CodeOverloaded || code == wire.CodeUnavailable || code == wire.CodeShutdown:
		status = http.StatusServiceUnavailable
	case code == wire.CodeTimeout || code == wire.CodeMaybeRan:
		status = http.StatusGatewayTimeout
	case strings.HasPrefix(code, "invalid_") || code == wire.CodeBadKey:
		status = http.StatusBadRequest
	}
	writeError(w, status, f.Code, f.Message)
}
