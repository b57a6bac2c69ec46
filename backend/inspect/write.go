package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/wire"
)

// maxBody is how large a request may be: it may have a whole state.
const maxBody = 64 << 20

// maxLogged is how many bytes of a name in a request are in the log.
const maxLogged = 100

// operation reads a request's body into v and returns the actor that it is about. It reports
// false if it has answered. Each operation is in the server's log, with the address from
// which it came; cancel ends its time.
func (i *Inspector) operation(w http.ResponseWriter, r *http.Request, v any) (ctx context.Context, cancel func(), ref host.Ref, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, v)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		writeError(w, http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "the request is too large")
		return nil, nil, ref, false
	case err != nil:
		writeError(w, http.StatusBadRequest, wire.CodeMalformed, err.Error())
		return nil, nil, ref, false
	}
	ctx, cancel = context.WithTimeout(r.Context(), patience)
	l, err := i.node.Look(ctx, chi.URLParam(r, "id"), runtime.LookQuery{})
	if err != nil {
		cancel()
		i.fail(w, err)
		return nil, nil, ref, false
	}
	return ctx, cancel, l.Ref, true
}

// done answers an operation and logs it, also one that has failed. args never have what
// users wrote.
func (i *Inspector) done(w http.ResponseWriter, r *http.Request, what string, ref host.Ref, result any, err error, args ...any) {
	outcome := "ok"
	var f *host.Fault
	if errors.As(err, &f) {
		outcome = f.Code
	} else if err != nil {
		outcome = err.Error()
	}
	for k, arg := range args {
		if text, ok := arg.(string); ok && len(text) > maxLogged {
			args[k] = strings.ToValidUTF8(text[:maxLogged], "") + "…"
		}
	}
	args = append([]any{"what", what, "actor", ref.Name, "key", ref.Key.String(), "id", ref.ID, "address", forwarded.Client(r).String(), "outcome", outcome}, args...)
	i.log.Warn("inspector: an operator has touched an actor", args...)
	if err != nil {
		i.fail(w, err)
		return
	}
	writeJSON(w, result)
}

var nothing = struct{}{}

// call runs an action without a connection.
func (i *Inspector) call(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Action string            `json:"action"`
		Args   []json.RawMessage `json:"args"`
		As     json.RawMessage   `json:"as"` // what OnAuth would return
	}
	ctx, cancel, ref, ok := i.operation(w, r, &q)
	if !ok {
		return
	}
	defer cancel()
	result, err := i.node.CallAs(ctx, ref, q.As, host.DirectCall{Action: q.Action, Args: q.Args, From: "inspector"})
	if result == nil {
		result = json.RawMessage("null")
	}
	i.done(w, r, "call", ref, map[string]json.RawMessage{"result": result}, err, "action", q.Action)
}

// disconnect ends a connection.
func (i *Inspector) disconnect(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Conn   string `json:"conn"`
		Reason string `json:"reason"`
	}
	ctx, cancel, ref, ok := i.operation(w, r, &q)
	if !ok {
		return
	}
	defer cancel()
	if q.Reason == "" {
		q.Reason = "disconnected by an operator"
	}
	err := i.node.Disconnect(ctx, ref.ID, q.Conn, q.Reason)
	i.done(w, r, "disconnect", ref, nothing, err, "conn", q.Conn)
}

// reset returns an actor to its last durable state.
func (i *Inspector) reset(w http.ResponseWriter, r *http.Request) {
	ctx, cancel, ref, ok := i.operation(w, r, &struct{}{})
	if !ok {
		return
	}
	defer cancel()
	i.done(w, r, "reset", ref, nothing, i.node.Reset(ctx, ref.ID))
}

// destroy ends an actor's life. The request repeats its key, so that nobody destroys one by
// mistake.
func (i *Inspector) destroy(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Key host.Key `json:"key"`
	}
	ctx, cancel, ref, ok := i.operation(w, r, &q)
	if !ok {
		return
	}
	defer cancel()
	if !slices.Equal(q.Key, ref.Key) {
		i.done(w, r, "destroy", ref, nil, host.Faultf(wire.CodeInvalidInput, "this actor has another key: %s", ref.Key))
		return
	}
	i.done(w, r, "destroy", ref, nothing, i.node.Destroy(ctx, ref.ID))
}

// changeMessage runs, cancels or retries a message.
func (i *Inspector) changeMessage(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Change runtime.MessageChange `json:"change"`
	}
	ctx, cancel, ref, ok := i.operation(w, r, &q)
	if !ok {
		return
	}
	defer cancel()
	what := "change message"
	number, err := strconv.ParseUint(chi.URLParam(r, "number"), 10, 64)
	switch {
	case err != nil:
		err = host.Faultf(wire.CodeNotFound, "a message's number is what stands behind the dot of its id")
	case q.Change != runtime.RunMessage && q.Change != runtime.CancelMessage:
		err = host.Faultf(wire.CodeInvalidInput, "change: want run or cancel")
	default:
		what = string(q.Change) + " message"
		err = i.node.ChangeMessage(ctx, ref.ID, number, q.Change)
	}
	i.done(w, r, what, ref, nothing, err, "message", number)
}

// editState replaces the state of an actor that is still at a revision.
func (i *Inspector) editState(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Rev   uint64          `json:"rev"`
		State json.RawMessage `json:"state"`
	}
	ctx, cancel, ref, ok := i.operation(w, r, &q)
	if !ok {
		return
	}
	defer cancel()
	before, err := i.node.Edit(ctx, ref.ID, q.Rev, q.State)
	i.done(w, r, "edit state", ref, map[string]json.RawMessage{"before": before}, err, "rev", q.Rev, "bytes", len(q.State))
}
