package runtime

import (
	"reflect"
	"runtime"
)

var (
	protectName = runtime.FuncForPC(reflect.ValueOf(protect).Pointer()).Name()
	executeName = runtime.FuncForPC(reflect.ValueOf((*Turn).execute).Pointer()).Name()
)

// InTurn reports whether the calling goroutine runs code of an actor that may panic: a
// panic in another goroutine of an author ends the process. It looks at the goroutine's
// stack, which takes about a microsecond.
func InTurn() bool { return onStack(protectName) }

// inExecute reports whether the calling goroutine runs a turn.
func inExecute() bool { return onStack(executeName) }

func onStack(name string) bool {
	var few [64]uintptr
	for skip := 2; ; skip += len(few) {
		n := runtime.Callers(skip, few[:])
		if n == 0 {
			return false
		}
		frames := runtime.CallersFrames(few[:n])
		for more := true; more; {
			var f runtime.Frame
			if f, more = frames.Next(); f.Function == name {
				return true
			}
		}
	}
}
