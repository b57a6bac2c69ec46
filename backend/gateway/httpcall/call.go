package httpcall

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	maxIdempotencyKey = 255 // bytes
	callerBytes       = 16  // of the caller that stands for an Idempotency-Key
)

// Members of bodies.
var (
	callMembers   = []string{"args"}
	createMembers = []string{"key", "input"}
)

// Options of a Handler. All fields are required.
type Options struct {
	Host      host.Host
	Admission *limit.Admission
	Buffers   *limit.Buffers
	Respond   *Responder

	// Authenticate returns what the actor's OnAuth says about a request; action is
	// empty if it makes no call.
	Authenticate func(r *http.Request, ref host.Ref, action string) (host.Identity, error)

	MaxMessage int // bytes of a request's body
}

// A Handler serves single calls. All its methods may be called at the same time.
type Handler struct {
	host         host.Host
	admission    *limit.Admission
	buffers      *limit.Buffers
	respond      *Responder
	authenticate func(r *http.Request, ref host.Ref, action string) (host.Identity, error)
	maxMessage   int
	calls        atomic.Uint64
}

// New makes a Handler.
func New(o Options) *Handler {
	return &Handler{
		host: o.Host, admission: o.Admission, buffers: o.Buffers, respond: o.Respond,
		authenticate: o.Authenticate, maxMessage: o.MaxMessage,
	}
}

// Mount adds the routes of calls, creations and look-ups to a router.
func (h *Handler) Mount(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(h.limit)
		r.Post("/actors/{name}/actions/{action}", h.serveAction)
		r.Post("/actors/{name}", h.serveCreate)
		r.Get("/actors/{name}", h.serveResolve)
		r.Head("/actors/{name}", h.serveResolve)
	})
}

// Calls returns how many calls and creations were made.
func (h *Handler) Calls() uint64 { return h.calls.Load() }

// limit refuses calls from addresses that make too many, and all calls while there
// is no room for their answers.
func (h *Handler) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := h.admission.Call(forwarded.Counted(r)); e != nil {
			h.respond.Fail(w, e)
			return
		}
		if h.buffers.Full() {
			h.respond.Fail(w, h.buffers.Overloaded())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveAction is POST /api/actors/{name}/actions/{action}.
func (h *Handler) serveAction(w http.ResponseWriter, r *http.Request) {
	h.calls.Add(1)
	var body struct {
		Args []json.RawMessage `json:"args"`
	}
	if err := h.respond.ReadBody(w, r, Body{Option: "message", MaxBytes: h.maxMessage, Form: `{"args":[…]}`, Members: callMembers}, &body); err != nil {
		h.respond.Fail(w, err)
		return
	}
	query, err := ParseQuery(r, "key", "id", "create")
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	ref, err := h.refOf(r, query)
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	create, err := boolParameter(query, "create", ref.ID == "")
	if err == nil && create && ref.ID != "" {
		err = host.Faultf(wire.CodeMalformed, "an actor that is named by its id is not created; leave create=true out")
	}
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	caller, err := idempotencyCaller(r)
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	action, err := pathValue(r, "action")
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	who, err := h.authenticate(r, ref, action)
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	result, err := h.host.CallOnce(r.Context(), ref, host.DirectCall{
		Create:         create,
		IdempotencyKey: caller,
		Action:         action,
		Args:           body.Args,
		Identity:       who,
		From:           forwarded.Source(forwarded.Counted(r)),
	})
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	h.buffers.Reserve(len(result))
	defer h.buffers.Release(len(result))
	WriteJSON(w, http.StatusOK, struct {
		Result json.RawMessage `json:"result,omitempty"`
	}{result})
}

// serveCreate is POST /api/actors/{name}.
func (h *Handler) serveCreate(w http.ResponseWriter, r *http.Request) {
	h.calls.Add(1)
	var body struct {
		Key   json.RawMessage `json:"key"`
		Input json.RawMessage `json:"input"`
	}
	if err := h.respond.ReadBody(w, r, Body{Option: "message", MaxBytes: h.maxMessage, Form: `{"key":["…"],"input":…}`, Members: createMembers}, &body); err != nil {
		h.respond.Fail(w, err)
		return
	}
	if _, err := ParseQuery(r); err != nil {
		h.respond.Fail(w, err)
		return
	}
	name, err := pathValue(r, "name")
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	key, err := host.ParseKey(body.Key)
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	ref := host.Ref{Name: name, Key: key}
	who, err := h.authenticate(r, ref, "")
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	if e := h.admission.NewActor(forwarded.Source(forwarded.Counted(r))); e != nil {
		h.respond.Fail(w, e)
		return
	}
	id, err := h.host.Create(r.Context(), ref, body.Input, who)
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	WriteJSON(w, http.StatusCreated, idBody{id})
}

// serveResolve is GET /api/actors/{name}.
func (h *Handler) serveResolve(w http.ResponseWriter, r *http.Request) {
	query, err := ParseQuery(r, "key", "id")
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	ref, err := h.refOf(r, query)
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	who, err := h.authenticate(r, ref, "")
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	ref, err = h.host.Find(r.Context(), ref, who)
	if err != nil {
		h.respond.Fail(w, err)
		return
	}
	WriteJSON(w, http.StatusOK, idBody{ref.ID})
}

type idBody struct {
	ID string `json:"id"`
}

// refOf reads which actor a request names: by its key (see keyOf), or ?id=…. The actor with an id
// exists, and has the name that is in the path.
func (h *Handler) refOf(r *http.Request, query url.Values) (host.Ref, error) {
	name, err := pathValue(r, "name")
	if err != nil {
		return host.Ref{}, err
	}
	if query.Has("id") {
		id := query.Get("id")
		switch {
		case query.Has("key"):
			return host.Ref{}, host.Faultf(wire.CodeMalformed, "name the actor by key or by id, not by both")
		case id == "":
			return host.Ref{}, host.Faultf(wire.CodeMalformed, "the parameter id is empty; write ?id=…")
		}
		ref, err := h.host.Resolve(r.Context(), host.Ref{ID: id})
		if err == nil && ref.Name != name {
			err = host.Faultf(wire.CodeNotFound, "there is no actor %.64q with this id", name)
		}
		return ref, err
	}
	key, err := keyOf(r, query)
	return host.Ref{Name: name, Key: key}, err
}

// keyOf reads a key: ?key=a&key=b, or ?key for the empty one.
func keyOf(r *http.Request, query url.Values) (host.Key, error) {
	key := host.Key(query["key"])
	empty := slices.Contains(strings.Split(r.URL.RawQuery, "&"), "key")
	switch {
	case empty && len(key) == 1:
		return host.Key{}, nil
	case empty || len(key) == 0 || key[0] == "":
		return nil, host.Faultf(wire.CodeBadKey, "name the actor with ?key=…, or with ?key alone if it has no key")
	}
	if bad := key.Check(); bad != nil {
		return nil, bad
	}
	return key, nil
}

// idempotencyCaller returns the caller that stands for the request's Idempotency-Key;
// empty without one.
func idempotencyCaller(r *http.Request) (string, error) {
	keys := r.Header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	key := keys[0]
	if len(keys) > 1 || key == "" {
		return "", host.Faultf(wire.CodeMalformed, "send one Idempotency-Key that is not empty, or none")
	}
	if len(key) > maxIdempotencyKey {
		return "", host.Limit{Size: len(key), Limit: maxIdempotencyKey, Option: "Idempotency-Key"}.
			Fault(wire.CodeMalformed, fmt.Sprintf("an Idempotency-Key is at most %d bytes, this one has %d", maxIdempotencyKey, len(key)))
	}
	// The prefix keeps a key from ever being the caller of a connection.
	sum := sha256.Sum256([]byte("idempotency-key\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:callerBytes]), nil
}
