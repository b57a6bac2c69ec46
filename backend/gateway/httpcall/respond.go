package httpcall

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/metric"
	"github.com/troupe-dev/troupe/backend/wire"
)

// bodyTimeout is how long the body of a request may take to arrive, and its answer to
// be read.
const bodyTimeout = 30 * time.Second

// A Responder reads the bodies of requests and answers them with errors. All its
// methods may be called at the same time.
type Responder struct {
	Buffers *limit.Buffers
	Errors  *metric.Names           // counts the codes of errors
	Fault   func(error) *host.Fault // what a client may see of an error
}

// A Body says what ReadBody accepts.
type Body struct {
	MaxBytes int
	Option   string // that sets MaxBytes, for the error
	Form     string // what the body looks like, for the error
	AnyBytes bool   // the caller checks that it is UTF-8

	Members []string // each at most once, and no others; nil: unknown ones are ignored
}

// ReadBody decodes the body of a request, a JSON object in UTF-8, into v. An empty body
// leaves v as it is. The error is a *host.Fault.
func (p *Responder) ReadBody(w http.ResponseWriter, r *http.Request, want Body, v any) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return host.Faultf(wire.CodeMalformed, "the body has Content-Encoding %.64q; send it without one", encoding)
	}
	// Not every ResponseWriter has deadlines; then its server has to set them.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTimeout))
	body := limit.NewReader(http.MaxBytesReader(w, r.Body, int64(want.MaxBytes)), p.Buffers, nil)
	defer body.Done()
	b, err := io.ReadAll(&body)
	if err == nil { // else the server waits for the rest, which needs a deadline
		_ = control.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		size := max(int(r.ContentLength), want.MaxBytes+1) // at least
		return host.Limit{Size: size, Limit: want.MaxBytes, Option: want.Option}.
			Fault(wire.CodeTooLarge, fmt.Sprintf("a %s is at most %d bytes", want.Option, want.MaxBytes))
	}
	if errors.Is(err, limit.ErrBuffersFull) {
		return p.Buffers.Overloaded()
	}
	if err != nil {
		return host.Faultf(wire.CodeMalformed, "the body could not be read")
	}
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return nil
	}
	if !want.AnyBytes && !utf8.Valid(b) {
		return host.Faultf(wire.CodeMalformed, "the body is not UTF-8")
	}
	// A null is no object, though encoding/json takes it.
	if err := want.decode(b, v); err != nil || b[0] == 'n' {
		return host.Faultf(wire.CodeMalformed, "the body must be %s: %s", want.Form, wrongJSON(err))
	}
	return nil
}

func (want Body) decode(b []byte, v any) error {
	if want.Members == nil {
		return json.Unmarshal(b, v)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return checkMembers(b, want.Members)
}

// A bodyError says what is wrong with a body that is JSON.
type bodyError string

// Error returns the text.
func (e bodyError) Error() string { return string(e) }

const errTrailing bodyError = "something follows the object"

// wrongJSON says why something could not be decoded, without the names of types.
func wrongJSON(err error) string {
	var field *json.UnmarshalTypeError
	switch {
	case errors.As(err, &field) && field.Field != "":
		return fmt.Sprintf("field %q cannot be a %s", field.Field, field.Value)
	case errors.As(err, new(*json.SyntaxError)), errors.As(err, new(bodyError)):
		return err.Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	}
	return "it is not an object, or a field has the wrong type"
}

// statuses are the HTTP statuses of codes. Any other code is an actor's own and gets
// 422.
var statuses = map[wire.Code]int{
	wire.CodeMalformed:           http.StatusBadRequest,
	wire.CodeBadKey:              http.StatusBadRequest,
	wire.CodeInvalidArgs:         http.StatusBadRequest,
	wire.CodeInvalidParams:       http.StatusBadRequest,
	wire.CodeInvalidInput:        http.StatusBadRequest,
	wire.CodeTooDeep:             http.StatusBadRequest,
	wire.CodeConnectionRequired:  http.StatusBadRequest,
	wire.CodeUnauthorized:        http.StatusUnauthorized,
	wire.CodeForbidden:           http.StatusForbidden,
	wire.CodeBadOrigin:           http.StatusForbidden,
	wire.CodeNotFound:            http.StatusNotFound,
	wire.CodeUnknownActor:        http.StatusNotFound,
	wire.CodeUnknownAction:       http.StatusNotFound,
	wire.CodeUnknownSocket:       http.StatusNotFound,
	wire.CodeOutOfOrder:          http.StatusConflict,
	wire.CodeDestroyed:           http.StatusGone,
	wire.CodeExists:              http.StatusConflict,
	wire.CodeRan:                 http.StatusConflict,
	wire.CodeIdempotencyMismatch: http.StatusUnprocessableEntity,
	wire.CodeTooLarge:            http.StatusRequestEntityTooLarge,
	wire.CodeMaybeRan:            http.StatusGatewayTimeout,
	wire.CodeRateLimited:         http.StatusTooManyRequests,
	wire.CodeTooManySockets:      http.StatusTooManyRequests,
	wire.CodeInternal:            http.StatusInternalServerError,
	wire.CodeReadOnly:            http.StatusInternalServerError,
	wire.CodeStateIncompatible:   http.StatusInternalServerError,
	wire.CodeOverloaded:          http.StatusServiceUnavailable,
	wire.CodeUnavailable:         http.StatusServiceUnavailable,
	wire.CodeShutdown:            http.StatusServiceUnavailable,
	wire.CodeMoved:               http.StatusServiceUnavailable,
	wire.CodeTimeout:             http.StatusGatewayTimeout,
}

// Fail answers a request with an error, and counts it.
func (p *Responder) Fail(w http.ResponseWriter, err error) {
	if errors.Is(err, context.Canceled) {
		// The client has hung up. Should it get the answer after all, the answer says
		// that the call may have run.
		err = &host.Fault{Code: wire.CodeInternal, Message: "the request was given up"}
	}
	e := p.Fault(err)
	p.Errors.Add(e.Code)
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
	WriteError(w, status, e.Code, e.Message, e.Metadata)
}

// WriteError answers a request with a status and an error.
func WriteError(w http.ResponseWriter, status int, code wire.Code, message string, metadata json.RawMessage) {
	WriteJSON(w, status, struct {
		Code     wire.Code       `json:"code"`
		Message  string          `json:"message"`
		Metadata json.RawMessage `json:"metadata,omitempty"`
	}{code, message, metadata})
}

// WriteJSON answers a request with a status and v as JSON, like WriteBody.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"code":"internal_error","message":"the result cannot be encoded"}`)
	}
	WriteBody(w, status, b)
}

// WriteBody answers a request with a status and a body, which is JSON. It gives the client
// bodyTimeout to take it.
func WriteBody(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	// An answer that is not read must not be kept forever. Not every ResponseWriter has
	// deadlines; then its server has to set them.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection may serve other requests
	w.WriteHeader(status)
	if _, err := w.Write(b); err == nil { // else the client has gone
		_ = control.Flush()
	}
}
