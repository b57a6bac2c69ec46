package server

import (
	"net/http"
	"time"
)

// bodyTimeout is how long the body of a request may take to arrive.
const bodyTimeout = 30 * time.Second

// limitBodyTime cuts off clients that announce a body and do not send it. If the handler
// has not read the body, net/http waits for it even after the response: without a limit,
// forever. A handler that has read the body and keeps running removes the deadline.
func limitBodyTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // a server's ResponseWriter can
		}
		next.ServeHTTP(w, r)
	})
}
