package actor

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits on names and keys, in bytes.
const (
	MaxNameBytes         = 64
	MaxKeyComponentBytes = 128
	MaxKeyBytes          = 1024
)

// Key is the second half of an actor's address: chatRoom ["general"]. It has
// at least one component.
type Key []string

// ParseKey reads a key as clients write it: a JSON array of strings, or one
// string, which means a key of one component.
func ParseKey(raw json.RawMessage) (Key, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil && len(raw) > 0 && raw[0] == '"' {
		return Key{one}, Key{one}.check()
	}
	var k Key
	var parts []*string
	if err := json.Unmarshal(raw, &parts); err != nil {
		return nil, errors.New("a key is a string or an array of strings")
	}
	for _, p := range parts {
		if p == nil {
			return nil, errors.New("a key's components are strings, one is null")
		}
		k = append(k, *p)
	}
	return k, k.check()
}

// String returns the canonical form of the key, a JSON array.
func (k Key) String() string {
	b, err := json.Marshal(append([]string{}, k...)) // a nil key is [], not null
	if err != nil {
		return fmt.Sprint([]string(k)) // strings always encode
	}
	return string(b)
}

// check returns what is wrong with a key, or nil.
func (k Key) check() error {
	if len(k) == 0 {
		return errors.New("a key needs at least one component")
	}
	total := 0
	for _, c := range k {
		if c == "" {
			return errors.New("a key's components are not empty, one is")
		}
		if len(c) > MaxKeyComponentBytes {
			return fmt.Errorf("a key's component is at most %d bytes, one has %d", MaxKeyComponentBytes, len(c))
		}
		if !utf8.ValidString(c) || strings.ContainsRune(c, 0) {
			return errors.New("a key is valid UTF-8 without NUL")
		}
		total += len(c)
	}
	if total > MaxKeyBytes {
		return fmt.Errorf("a key is at most %d bytes, this one has %d", MaxKeyBytes, total)
	}
	return nil
}

// actorID derives an actor's id from its address: the same everywhere, and no
// way back to the key.
func actorID(name string, key Key) string {
	sum := sha256.Sum256([]byte(name + "\x00" + key.String()))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
