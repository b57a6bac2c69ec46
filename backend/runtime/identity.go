package runtime

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"reflect"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Methods that the result of OnAuth may have. Package actor documents them.
type (
	subject interface{ Subject() string }
	expiry  interface{ ValidUntil() time.Time }
)

var (
	errSessionOver    = host.Faultf(wire.CodeUnauthorized, "the session is over")
	errReauthenticate = host.Faultf(wire.CodeIdentity, "the client has to be authenticated again")
)

// IdentityOf returns the identity that a result of OnAuth stands for. The error is about the
// result: it cannot be encoded, is too large, or is no longer valid.
func IdentityOf(result any) (who host.Identity, err error) {
	if who.Auth, err = jsonshape.Encode(result); err != nil {
		return host.Identity{}, err
	}
	switch {
	case len(who.Auth) > maxAuthBytes:
		return host.Identity{}, fmt.Errorf("the result has %d bytes of JSON; it is kept with each connection, so the limit is %d", len(who.Auth), maxAuthBytes)
	case jsonshape.Depth(who.Auth) > jsonshape.MaxDepth:
		return host.Identity{}, definition.TooDeepFault("the result of OnAuth")
	}
	who.Subject = hash("auth", string(who.Auth))
	of := withMethods(result)
	if s, ok := of.(subject); ok {
		who.Subject = SubjectOf(s.Subject())
	}
	if e, ok := of.(expiry); ok {
		who.Until = e.ValidUntil()
	}
	if !who.Until.IsZero() && !who.Until.After(time.Now()) {
		return host.Identity{}, errSessionOver
	}
	return who, nil
}

// withMethods returns a result of OnAuth, with the methods of a pointer to it, too. A nil
// pointer has none.
func withMethods(result any) any {
	v := reflect.ValueOf(result)
	if v.Kind() != reflect.Pointer {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		return p.Interface()
	}
	if v.IsNil() {
		return nil
	}
	return result
}

// SubjectOf returns the subject of an identity whose Subject method returns s.
func SubjectOf(s string) string { return hash("subject", s) }

// isAnothers reports whether a connection belongs to another subject than that of a request.
// A connection whose subject is unknown belongs to any client that has its secret.
func (in *instance) isAnothers(c *Conn, who host.Identity) bool {
	return c.owner != "" && who.Subject != "" && c.owner != who.Subject && !in.def.Options.AnySubject
}

// anySubject has the producers of connections that any subject may resume.
const anySubject = "any"

// numbers returns the subject whose producers number the calls of a connection (nil: of a
// new one) for the client of a request.
func (in *instance) numbers(c *Conn, who host.Identity) string {
	switch {
	case in.def.Options.AnySubject:
		return anySubject
	case who.Subject == "" && c != nil:
		return c.owner
	}
	return who.Subject
}

// identify notes what OnAuth returned for a connection's client.
func (in *instance) identify(c *Conn, who host.Identity) {
	c.who = who
	if c.owner == "" || who.Subject != "" {
		c.owner = who.Subject
	}
	in.conns.armAt(who.Until)
}

// reauthenticate takes a connection's socket away, so that its client opens it again, and
// OnAuth runs. What the client has sent before that has no effect. It reports false if the
// instance was abandoned meanwhile.
func (in *instance) reauthenticate(c *Conn) bool {
	in.actor.gate.put(in.closes(time.Now(), c.attachment, errReauthenticate), nil)
	in.conns.detach(c)
	return in.drop(c)
}

func hash(what, of string) string {
	sum := sha256.Sum256([]byte(what + "\x00" + of))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
