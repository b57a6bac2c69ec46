package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// probeTimeout is how long a server may take to answer.
const probeTimeout = 3 * time.Second

// probe requests /healthz of the configured server on this machine. It is for places
// without curl, such as a container. An error means that the server does not answer, or
// that its store cannot be written.
func probe(ctx context.Context, config Config, stdout io.Writer) error {
	host, port, err := net.SplitHostPort(config.Addr)
	if err != nil || port == "0" {
		return fmt.Errorf("want the server's address, such as -addr :8080, got %q", config.Addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", answer.Status, body)
	}
	_, err = stdout.Write(body)
	return err
}
