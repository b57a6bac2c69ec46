package server

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimitBodyTime: a body that is announced and not sent holds a connection for half a
// minute, even if no handler reads it.
func TestLimitBodyTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, end := net.Pipe()
		listener := &oneConn{conn: end, over: make(chan struct{})}
		server := &http.Server{Handler: limitBodyTime(http.NotFoundHandler())}
		served := make(chan error)
		go func() { served <- server.Serve(listener) }()

		begin := time.Now()
		if _, err := io.WriteString(client, "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		var trickle sync.WaitGroup
		trickle.Go(func() { // the rest comes as slowly as it can
			for {
				time.Sleep(10 * time.Second)
				if _, err := io.WriteString(client, " "); err != nil {
					return
				}
			}
		})
		answer, err := io.ReadAll(client)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 404 ") {
			t.Errorf("got %s, %v, want 404 and the end of the connection", answer, err)
		}
		if took := time.Since(begin); took > bodyTimeout+time.Second {
			t.Errorf("it took %s, want %s", took, bodyTimeout)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-served
		trickle.Wait()
	})
}

// oneConn is a net.Listener with one connection.
type oneConn struct {
	conn net.Conn
	over chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.over
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.over); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
