package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

const (
	maxIdempotencyKey = 255              // bytes
	bodyTimeout       = 30 * time.Second // for a request's body to arrive, and for its answer to be taken
)

func (g *Gateway) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(secure, g.recoverer, g.CheckOrigin, corsHandler(g.originAllowed))
	r.Route("/api", func(r chi.Router) {
		r.Get("/socket", g.serveSocket)
		r.Get("/stream", g.serveStream)
		r.Post("/stream", g.servePost)
		r.Post("/poll", g.servePoll)
		r.Group(func(r chi.Router) {
			r.Use(g.whileOpen, g.limitCalls)
			r.Post("/actors/{name}/actions/{action}", g.serveAction)
			r.Post("/actors/{name}", g.serveCreate)
			r.Get("/actors/{name}", g.serveResolve)
		})
	})
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusNotFound, wire.CodeNotFound, "there is nothing at this address", nil)
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusMethodNotAllowed, wire.CodeMalformed, "this address does not take that method", nil)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// Without the routing state of a router around this one.
		r.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), chi.RouteCtxKey, nil)))
	})
}

// secure sets the headers that every answer has. None is a page: a browser that is
// led to one shows it, at most, as what it says that it is.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin") // a request with CORS needs no such word
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// recoverer makes a panic the failure of one request.
func (g *Gateway) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				g.panicked(v, nil)
				if r.Header.Get("Upgrade") == "" { // else the connection is no longer HTTP's
					g.fail(w, &host.Fault{Code: wire.CodeInternal, Message: "the server failed; its log has the cause"})
				}
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// whileOpen refuses calls once the gateway is shutting down.
func (g *Gateway) whileOpen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.isQuiesced() {
			g.fail(w, errShutdown)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitCalls refuses calls from addresses that make too many, and all calls while there
// is no room for their answers.
func (g *Gateway) limitCalls(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := g.admission.Call(forwarded.Client(r)); e != nil {
			g.fail(w, e)
			return
		}
		if g.buffers.Full() {
			g.fail(w, g.buffers.Overloaded())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveAction is POST /api/actors/{name}/actions/{action}.
func (g *Gateway) serveAction(w http.ResponseWriter, r *http.Request) {
	g.stats.httpCalls.Add(1)
	var body struct {
		Args []json.RawMessage `json:"args"`
	}
	if err := g.readBody(w, r, "message", g.opts.Limits.Message, &body); err != nil {
		g.fail(w, err)
		return
	}
	ref, err := refOf(r)
	if err != nil {
		g.fail(w, err)
		return
	}
	caller, err := idempotencyCaller(r)
	if err != nil {
		g.fail(w, err)
		return
	}
	action := pathValue(r, "action")
	auth, err := g.authenticate(r, ref, action)
	if err != nil {
		g.fail(w, err)
		return
	}
	result, err := g.host.CallOnce(r.Context(), ref, host.SingleCall{
		Create: ref.ID == "" && r.URL.Query().Get("create") != "false",
		Caller: caller,
		Action: action,
		Args:   body.Args,
		Auth:   auth,
	})
	if err != nil {
		g.fail(w, err)
		return
	}
	g.buffers.Reserve(len(result))
	defer g.buffers.Release(len(result))
	writeJSON(w, http.StatusOK, struct {
		Result json.RawMessage `json:"result,omitempty"`
	}{result})
}

// serveCreate is POST /api/actors/{name}.
func (g *Gateway) serveCreate(w http.ResponseWriter, r *http.Request) {
	g.stats.httpCalls.Add(1)
	var body struct {
		Key   json.RawMessage `json:"key"`
		Input json.RawMessage `json:"input"`
	}
	if err := g.readBody(w, r, "message", g.opts.Limits.Message, &body); err != nil {
		g.fail(w, err)
		return
	}
	key, err := host.ParseKey(body.Key)
	if err != nil {
		g.fail(w, err)
		return
	}
	ref := host.Ref{Name: pathValue(r, "name"), Key: key}
	auth, err := g.authenticate(r, ref, "")
	if err != nil {
		g.fail(w, err)
		return
	}
	id, err := g.host.Create(r.Context(), ref, body.Input, auth)
	if err != nil {
		g.fail(w, err)
		return
	}
	writeJSON(w, http.StatusCreated, idBody{id})
}

// serveResolve is GET /api/actors/{name}.
func (g *Gateway) serveResolve(w http.ResponseWriter, r *http.Request) {
	ref, err := refOf(r)
	if err != nil {
		g.fail(w, err)
		return
	}
	if _, err := g.authenticate(r, ref, ""); err != nil {
		g.fail(w, err)
		return
	}
	ref, err = g.host.Resolve(r.Context(), ref)
	if err != nil {
		g.fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, idBody{ref.ID})
}

type idBody struct {
	ID string `json:"id"`
}

// refOf reads which actor a request is for: ?key=a&key=b, or ?id=….
func refOf(r *http.Request) (host.Ref, error) {
	query := r.URL.Query()
	if id := query.Get("id"); id != "" {
		return host.Ref{ID: id}, nil
	}
	raw, err := json.Marshal(query["key"])
	if err != nil {
		return host.Ref{}, err
	}
	key, err := host.ParseKey(raw)
	if err != nil {
		return host.Ref{}, err
	}
	return host.Ref{Name: pathValue(r, "name"), Key: key}, nil
}

func pathValue(r *http.Request, name string) string {
	v := chi.URLParam(r, name)
	if u, err := url.PathUnescape(v); err == nil {
		return u
	}
	return v
}

// idempotencyCaller is the caller that an Idempotency-Key stands for.
func idempotencyCaller(r *http.Request) (string, error) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return "", nil
	}
	if len(key) > maxIdempotencyKey {
		return "", host.Limit{Size: len(key), Limit: maxIdempotencyKey, Option: "Idempotency-Key"}.
			Fault(wire.CodeMalformed, fmt.Sprintf("an Idempotency-Key is at most %d bytes, this one has %d", maxIdempotencyKey, len(key)))
	}
	// With a prefix, so that no key is the caller of a connection.
	sum := sha256.Sum256([]byte("idempotency-key\x00" + key))
	return base64.RawURLEncoding.EncodeToString(sum[:secretBytes]), nil
}

// readBody decodes the body of a request, which may be empty, into v. It is at most
// maxBytes, which is the limit of that name.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request, option string, maxBytes int, v any) error {
	// Not every ResponseWriter can; then its server has to see to it.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body := limit.NewReader(http.MaxBytesReader(w, r.Body, int64(maxBytes)), g.buffers, nil)
	defer body.Done()
	b, err := io.ReadAll(&body)
	if err == nil { // else the server waits for the rest, and must not do so for ever
		_ = control.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		size := max(int(r.ContentLength), maxBytes+1) // at least
		return host.Limit{Size: size, Limit: maxBytes, Option: option}.
			Fault(wire.CodeTooLarge, fmt.Sprintf("a %s is at most %d bytes", option, maxBytes))
	}
	if errors.Is(err, limit.ErrBuffersFull) {
		return g.buffers.Overloaded()
	}
	if err != nil {
		return host.Faultf(wire.CodeMalformed, "the body could not be read")
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return host.Faultf(wire.CodeMalformed, "the body is not the JSON object that it should be: %s", wrongJSON(err))
	}
	return nil
}

// wrongJSON says why something could not be decoded, without the names of types.
func wrongJSON(err error) string {
	var field *json.UnmarshalTypeError
	switch {
	case errors.As(err, &field) && field.Field != "":
		return fmt.Sprintf("field %q cannot be a %s", field.Field, field.Value)
	case errors.As(err, new(*json.SyntaxError)):
		return err.Error()
	}
	return "it is not an object, or a field is not what it should be"
}

// statuses are the HTTP statuses of codes. Those that are missing are the codes
// of actors, and get 422.
var statuses = map[wire.Code]int{
	wire.CodeMalformed:          http.StatusBadRequest,
	wire.CodeBadKey:             http.StatusBadRequest,
	wire.CodeInvalidArgs:        http.StatusBadRequest,
	wire.CodeInvalidParams:      http.StatusBadRequest,
	wire.CodeInvalidInput:       http.StatusBadRequest,
	wire.CodeConnectionRequired: http.StatusBadRequest,
	wire.CodeUnauthorized:       http.StatusUnauthorized,
	wire.CodeForbidden:          http.StatusForbidden,
	wire.CodeBadOrigin:          http.StatusForbidden,
	wire.CodeNotFound:           http.StatusNotFound,
	wire.CodeUnknownActor:       http.StatusNotFound,
	wire.CodeUnknownAction:      http.StatusNotFound,
	wire.CodeUnknownSocket:      http.StatusNotFound,
	wire.CodeOutOfOrder:         http.StatusConflict,
	wire.CodeExists:             http.StatusConflict,
	wire.CodeRan:                http.StatusConflict,
	wire.CodeTooLarge:           http.StatusRequestEntityTooLarge,
	wire.CodeRateLimited:        http.StatusTooManyRequests,
	wire.CodeTooManySockets:     http.StatusTooManyRequests,
	wire.CodeInternal:           http.StatusInternalServerError,
	wire.CodeReadOnly:           http.StatusInternalServerError,
	wire.CodeStateIncompatible:  http.StatusInternalServerError,
	wire.CodeOverloaded:         http.StatusServiceUnavailable,
	wire.CodeUnavailable:        http.StatusServiceUnavailable,
	wire.CodeShutdown:           http.StatusServiceUnavailable,
	wire.CodeTimeout:            http.StatusGatewayTimeout,
}

// fail answers a request with an error.
func (g *Gateway) fail(w http.ResponseWriter, err error) {
	if errors.Is(err, context.Canceled) {
		// The client has hung up. If it is there after all, it knows that its call may
		// have run.
		err = &host.Fault{Code: wire.CodeInternal, Message: "the request was given up"}
	}
	e := asError(func() *slog.Logger { return g.log }, err)
	g.stats.errors.Add(e.Code)
	status, ok := statuses[e.Code]
	if !ok {
		status = http.StatusUnprocessableEntity
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		var metadata host.Limit
		_ = json.Unmarshal(e.Metadata, &metadata) // metadata that is not of a limit has no RetryAfterMs
		seconds := max(1, (metadata.RetryAfterMs+999)/1000)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	writeError(w, status, e.Code, e.Message, e.Metadata)
}

func writeError(w http.ResponseWriter, status int, code wire.Code, message string, metadata json.RawMessage) {
	writeJSON(w, status, struct {
		Code     wire.Code       `json:"code"`
		Message  string          `json:"message"`
		Metadata json.RawMessage `json:"metadata,omitempty"`
	}{code, message, metadata})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"code":"internal_error","message":"the result cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	// What a client does not read is not kept for ever. Not every ResponseWriter can
	// have a deadline; then its server has to see to it.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection may serve other requests
	w.WriteHeader(status)
	if _, err := w.Write(b); err == nil { // else the client has gone
		_ = control.Flush()
	}
}
