package actor

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"unicode/utf8"
)

// Keys of tables are stored as bytes in the order of bytes.Compare: strings as they are,
// integers as 8 bytes, the highest first, signed ones with their sign bit flipped.

const signBit = 1 << 63

func encodeTableKey[K MapKey](key K) []byte {
	switch v := reflect.ValueOf(key); {
	case v.Kind() == reflect.String:
		if !utf8.ValidString(v.String()) {
			panic(fmt.Sprintf("actor: the key %q is not valid UTF-8", v.String()))
		}
		return []byte(v.String())
	case v.CanInt():
		return binary.BigEndian.AppendUint64(make([]byte, 0, 9), uint64(v.Int())^signBit)
	default:
		return binary.BigEndian.AppendUint64(make([]byte, 0, 9), v.Uint())
	}
}

func decodeTableKey[K MapKey](raw []byte) (key K, err error) {
	v := reflect.ValueOf(&key).Elem()
	if v.Kind() == reflect.String {
		if !utf8.Valid(raw) {
			return key, fmt.Errorf("the key %q is not valid UTF-8", raw)
		}
		v.SetString(string(raw))
		return key, nil
	}
	if len(raw) != 8 {
		return key, fmt.Errorf("the key %q is not that of a %T", raw, key)
	}
	n := binary.BigEndian.Uint64(raw)
	if v.CanInt() {
		if n ^= signBit; v.OverflowInt(int64(n)) {
			return key, fmt.Errorf("the key %d does not fit into a %T", int64(n), key)
		}
		v.SetInt(int64(n))
		return key, nil
	}
	if v.OverflowUint(n) {
		return key, fmt.Errorf("the key %d does not fit into a %T", n, key)
	}
	v.SetUint(n)
	return key, nil
}

// numberedKey returns the key that Append gives as the nth one. It reports false if K has none.
func numberedKey[K MapKey](n uint64) (key K, ok bool) {
	v := reflect.ValueOf(&key).Elem()
	switch {
	case v.Kind() == reflect.String || n == math.MaxUint64: // of which the next one would be 0
		return key, false
	case v.CanInt():
		if n > math.MaxInt64 || v.OverflowInt(int64(n)) {
			return key, false
		}
		v.SetInt(int64(n))
	default:
		if v.OverflowUint(n) {
			return key, false
		}
		v.SetUint(n)
	}
	return key, true
}

// nextKey returns the next key to give after a key has been set, when it was next before.
// fresh reports that the key was never used.
func nextKey[K MapKey](key K, next uint64) (after uint64, fresh bool) {
	v := reflect.ValueOf(key)
	n := uint64(0)
	switch {
	case v.CanUint():
		n = v.Uint()
	case v.CanInt() && v.Int() > 0:
		n = uint64(v.Int())
	default:
		return next, false
	}
	if n < next || n == math.MaxUint64 {
		return max(next, n), false
	}
	return n + 1, true
}
