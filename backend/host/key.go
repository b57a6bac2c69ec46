package host

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/wire"
)

// Limits on names and keys, in bytes.
const (
	MaxNameBytes         = 64
	MaxKeyComponentBytes = 128
	MaxKeyBytes          = 1024
)

// Key is the second half of an actor's address: chatRoom ["general"]. The empty key is
// that of an actor of which there is one: lobby []. A nil Key is a missing one, not the
// empty one.
type Key []string

// ParseKey reads a key as clients write it: a JSON array of strings, or one
// string, which means a key of one component. The error is a *Fault, bad_key.
func ParseKey(raw json.RawMessage) (Key, error) {
	k, err := parseKey(raw)
	if err == nil {
		err = k.Check()
	}
	if err != nil {
		return k, err
	}
	return k, nil // not an error that holds a nil
}

var errNoKey = Faultf(wire.CodeBadKey, `the key is missing: write ["general"], say, or [] for an actor without a key`)

func parseKey(raw json.RawMessage) (Key, *Fault) {
	if len(raw) == 0 {
		return nil, errNoKey
	}
	if halfSurrogate(raw) {
		return nil, Faultf(wire.CodeBadKey, `a key has an escape such as \ud800 without its other half, which is no character`)
	}
	var one string
	if json.Unmarshal(raw, &one) == nil && raw[0] == '"' {
		return Key{one}, nil
	}
	k := Key{}
	var parts []*string
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, Faultf(wire.CodeBadKey, `a key is a string or an array of strings, such as ["general"]`)
	}
	if parts == nil {
		return nil, errNoKey
	}
	for _, p := range parts {
		if p == nil {
			return nil, Faultf(wire.CodeBadKey, "a key's components are strings, one is null")
		}
		k = append(k, *p)
	}
	return k, nil
}

// halfSurrogate reports whether JSON has an escaped UTF-16 surrogate without its other half.
// encoding/json replaces all of them by U+FFFD, which would make different keys the same.
func halfSurrogate(raw []byte) bool {
	for i := 0; i+1 < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		first, ok := escaped(raw[i:])
		if !ok || !utf16.IsSurrogate(first) {
			i++ // what is escaped
			continue
		}
		second, _ := escaped(raw[i+escapeBytes:])
		if utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		i += 2*escapeBytes - 1
	}
	return false
}

const escapeBytes = 6 // of \uXXXX

// escaped returns the character of an escape \uXXXX with which raw starts.
func escaped(raw []byte) (r rune, ok bool) {
	if len(raw) < escapeBytes || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:escapeBytes]), 16, 16)
	return rune(n), err == nil
}

// String returns the canonical form of the key, a JSON array.
func (k Key) String() string {
	b, err := json.Marshal(append([]string{}, k...)) // a nil key is [], not null
	if err != nil {
		return fmt.Sprint([]string(k)) // strings always encode
	}
	return string(b)
}

// Check returns what is wrong with a key, or nil.
func (k Key) Check() *Fault {
	if k == nil {
		return errNoKey
	}
	total := 0
	for _, c := range k {
		if c == "" {
			return Faultf(wire.CodeBadKey, "a key's components are not empty, one is")
		}
		if len(c) > MaxKeyComponentBytes {
			return longKey("a key's component", len(c), MaxKeyComponentBytes, "host.MaxKeyComponentBytes")
		}
		if !utf8.ValidString(c) || strings.ContainsRune(c, 0) {
			return Faultf(wire.CodeBadKey, "a key is valid UTF-8 without NUL")
		}
		total += len(c)
	}
	if total > MaxKeyBytes {
		return longKey("a key", total, MaxKeyBytes, "host.MaxKeyBytes")
	}
	return nil
}

func longKey(what string, size, limit int, option string) *Fault {
	return Limit{Size: size, Limit: limit, Option: option}.
		Fault(wire.CodeBadKey, fmt.Sprintf("%s is at most %d bytes, one has %d", what, limit, size))
}

// ActorID derives an actor's id from its address: the same everywhere. It is not keyed, so
// anybody who guesses a key can compute the id.
func ActorID(name string, key Key) string {
	sum := sha256.Sum256([]byte(name + "\x00" + key.String()))
	return idEncoding.EncodeToString(sum[:16])
}

// IsActorID reports whether s has the form of an actor's id: 128 bits in base64url without
// padding. A store may use ids in the names of other things.
func IsActorID(s string) bool {
	var id [16]byte
	if len(s) != idEncoding.EncodedLen(len(id)) {
		return false
	}
	n, err := idEncoding.Decode(id[:], []byte(s))
	return err == nil && n == len(id)
}

var idEncoding = base64.RawURLEncoding.Strict()
