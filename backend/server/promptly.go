package server

import (
	"net/http"
	"time"
)

// bodyTimeout is how long the body of a request may take to arrive.
const bodyTimeout = 30 * time.Second

// promptly cuts off whoever promises a body that does not come. net/http waits for
// it after the answer, too, if nobody has read it: without a limit, for ever. A
// handler that has read the body and goes on for longer takes the deadline away.
func promptly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // a server's ResponseWriter can
		}
		next.ServeHTTP(w, r)
	})
}
