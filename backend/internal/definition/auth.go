package definition

import (
	"context"
	"reflect"

	"github.com/troupe-dev/troupe/backend/host"
)

const authSignature = "OnAuth(ctx context.Context, r *actor.AuthRequest) (A, error)"

// setAuth takes a method as the definition's OnAuth.
func (d *Definition) setAuth(m *Method) {
	if m.context != nil || len(m.Args) != 2 || m.Args[0] != contextType || m.Args[1] != d.bindings.AuthRequest || m.Result == nil || !m.hasError {
		d.panicf("method OnAuth is a hook with the wrong signature: want %s", authSignature)
	}
	if k := m.Result.Kind(); k == reflect.Chan || k == reflect.Func || k == reflect.UnsafePointer || k == reflect.Interface {
		d.panicf("method OnAuth returns a %s: want a type that can be encoded as JSON and decoded again", m.Result)
	}
	d.Auth = m
}

// Authenticate calls OnAuth on a zero value. The definition must have one.
func (d *Definition) Authenticate(ctx context.Context, ref host.Ref, r host.AuthRequest) (result any, err error) {
	out := d.Auth.fn.Call([]reflect.Value{reflect.New(d.Type), reflect.ValueOf(ctx), d.bindings.NewAuthRequest(ref, r)})
	if err, _ := out[1].Interface().(error); err != nil {
		return nil, err
	}
	return out[0].Interface(), nil
}

// ClientError returns the parts of an *actor.Error. metadata is not encoded yet, nil if
// there is none. ok is false for other errors.
func (d *Definition) ClientError(err error) (code, message string, metadata any, ok bool) {
	return d.bindings.ClientError(err)
}
