// Package loopback finds addresses for servers of tests that have to know theirs before they listen, or
// listen again at the same one.
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Address returns host:port on this machine, where nobody listens. On Linux the host is one of
// 127.0.0.0/8 at random, so that nobody takes the port before its user does; other systems have
// 127.0.0.1 only.
func Address() (string, error) {
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
