// Package definitiontest makes random types and values for tests of what must hold for
// every state.
package definitiontest

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strconv"
	"time"
)

// Named types of which some part is not reached by exported fields.
var named = []reflect.Type{
	reflect.TypeFor[time.Time](), reflect.TypeFor[big.Int](), reflect.TypeFor[*big.Int](),
	reflect.TypeFor[json.RawMessage](), reflect.TypeFor[any](), reflect.TypeFor[Node](),
}

// Value is a type whose values package reflect cannot set.
type Value interface {
	Randomize(*rand.Rand)
	Mutate()
}

// Node is a type that contains itself.
type Node struct {
	Name     string           `json:"name"`
	Children []*Node          `json:"children"`
	Named    map[string]*Node `json:"named"`
}

var scalars = []reflect.Type{
	reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[bool](), reflect.TypeFor[float64](), reflect.TypeFor[uint8](),
}

// RandomType returns a type that JSON can hold, of at most depth levels.
func RandomType(r *rand.Rand, depth int) reflect.Type {
	if depth == 0 {
		return scalars[r.IntN(len(scalars))]
	}
	switch r.IntN(8) {
	case 0:
		return scalars[r.IntN(len(scalars))]
	case 1, 2:
		return reflect.SliceOf(RandomType(r, depth-1))
	case 3:
		key := reflect.TypeFor[string]()
		if r.IntN(3) == 0 {
			key = reflect.TypeFor[int]()
		}
		return reflect.MapOf(key, RandomType(r, depth-1))
	case 4:
		return reflect.PointerTo(RandomType(r, depth-1))
	case 5:
		return reflect.ArrayOf(1+r.IntN(3), RandomType(r, depth-1))
	case 6:
		return named[r.IntN(len(named))]
	default:
		fields := make([]reflect.StructField, 1+r.IntN(4))
		for i := range fields {
			name := "F" + strconv.Itoa(i)
			fields[i] = reflect.StructField{Name: name, Type: RandomType(r, depth-1), Tag: reflect.StructTag(fmt.Sprintf(`json:%q`, name))}
		}
		return reflect.StructOf(fields)
	}
}

// Randomize fills v, which can be set, with a random value without cycles. depth limits
// types that contain themselves.
func Randomize(r *rand.Rand, v reflect.Value, depth int) {
	if depth < -4 {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case Value:
		p.Randomize(r)
		return
	case *time.Time:
		*p = time.Unix(r.Int64N(1<<32), 0).UTC()
		return
	case *big.Int:
		p.SetInt64(r.Int64N(1 << 50)) // JavaScript has no more bits
		return
	case *json.RawMessage:
		*p = json.RawMessage(fmt.Sprintf(`{"a":[%d]}`, r.IntN(100)))
		return
	case *any:
		*p = randomAny(r, 3)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strconv.Itoa(r.IntN(1000)))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int:
		v.SetInt(r.Int64N(1000))
	case reflect.Uint8:
		v.SetUint(r.Uint64N(100))
	case reflect.Float64:
		v.SetFloat(float64(r.IntN(1000)) / 4)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(3), 4))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			Randomize(r, v.Index(i), depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + r.IntN(3) {
			key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			Randomize(r, key, 0)
			Randomize(r, elem, depth-1)
			v.SetMapIndex(key, elem)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		Randomize(r, v.Elem(), depth-1)
	case reflect.Struct:
		for i := range v.NumField() {
			Randomize(r, v.Field(i), depth-1)
		}
	}
}

// randomAny returns a value as encoding/json decodes it.
func randomAny(r *rand.Rand, depth int) any {
	if depth == 0 {
		return float64(r.IntN(100))
	}
	switch r.IntN(4) {
	case 0:
		return "text"
	case 1:
		return []any{randomAny(r, depth-1), randomAny(r, depth-1)}
	case 2:
		return map[string]any{"a": randomAny(r, depth-1), "b": true}
	default:
		return float64(r.IntN(100))
	}
}

// Mutate changes everything that v, which can be set, refers to.
func Mutate(v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case Value:
		p.Mutate()
		return
	case *time.Time:
		*p = p.Add(time.Hour)
		return
	case *big.Int:
		for i := range p.Bits() {
			p.Bits()[i]++ // in the memory of its value
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "!")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint(uint64(uint8(v.Uint()) + 1))
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			Mutate(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(v.MapIndex(key))
			Mutate(elem)
			v.SetMapIndex(key, elem)
		}
		if v.Len() > 0 {
			v.SetMapIndex(v.MapKeys()[0], reflect.Value{})
		}
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if v.Kind() == reflect.Pointer {
			Mutate(v.Elem())
			return
		}
		inner := reflect.New(v.Elem().Type()).Elem()
		inner.Set(v.Elem())
		Mutate(inner)
		v.Set(inner)
	case reflect.Struct:
		for i := range v.NumField() {
			Mutate(v.Field(i))
		}
	}
}
