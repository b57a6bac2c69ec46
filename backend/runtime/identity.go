package runtime

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"reflect"
	"sync"
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

// ownerToken returns what a client keeps to show later whose connection it had: the same for
// each connection of a subject with this id, and nothing about the subject. It is empty if
// there is no subject.
func (in *instance) ownerToken(r *host.OpenRequest) string {
	if r.Identity.Subject == "" || in.def.Options.AnySubject {
		return ""
	}
	key := in.actor.node.ownerKey.get(in.actor.node)
	if key == nil {
		return ""
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.Conn + "\x00" + r.Identity.Subject))
	return hash("owner", string(key))[:ownerKeyID] + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
}

// ownerKeyID is how long the part of an owner token is that names its key.
const ownerKeyID = 4

// wasAnothers reports whether the client of a request had its connection as another subject,
// also if the actor no longer knows that connection. What it has not sent then must not
// become this subject's.
func (in *instance) wasAnothers(r *host.OpenRequest) bool {
	if len(r.Owner) <= ownerKeyID {
		return false
	}
	token := in.ownerToken(r)
	return token != "" && r.Owner[:ownerKeyID] == token[:ownerKeyID] && r.Owner != token
}

// ownerKey is a key of the store.
type ownerKey struct {
	mu  sync.Mutex
	key []byte // guarded by mu; nil: not read yet
}

// get returns the key, nil if it cannot be read now.
func (k *ownerKey) get(n *Node) []byte {
	const patience = 5 * time.Second
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	key, err := n.store.Secret(ctx, "owner.key", func() []byte {
		key := make([]byte, sha256.Size)
		_, _ = rand.Read(key) // it does not fail
		return key
	})
	if err != nil {
		n.log.Warn("read the key by which a client of another subject is known failed: until it can be read, such a client is known only while its old connection exists", "error", err)
		return nil
	}
	k.key = key
	return key
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

// randomID returns 128 random bits in base64url.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
