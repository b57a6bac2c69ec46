package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

func TestCounter(t *testing.T) {
	actortest.Run(t, registry, func(n *actortest.Node) {
		apples := n.Actor("counter", "apples")
		ada := apples.Connect(nil)
		actortest.Call[int](apples, "add", 2)
		n.Restart()
		ada.Resume()
		actortest.Call[int](apples, "add", 3)
		if got, want := actortest.Events[Changed](ada), []Changed{{0}, {2}, {5}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestRun(t *testing.T) {
	t.Chdir(t.TempDir()) // for the data
	ctx, stop := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, "127.0.0.1:0", stdout)
		stdout.CloseWithError(io.EOF)
		ended <- err
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no address: %v, %v", err, <-ended)
	}
	url = strings.TrimSpace(url)

	answer, err := http.Post(url+"/api/actors/counter/actions/add?key=apples", "application/json", strings.NewReader(`{"args":[2]}`))
	check(t, answer, err, `{"result":2}`)
	answer, err = http.Get(url)
	check(t, answer, err, "<title>Counter</title>")

	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// check checks that an answer succeeded and has some text in its body.
func check(t *testing.T, answer *http.Response, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
		t.Errorf("got %s, %s and %v, want %s", answer.Status, body, err, want)
	}
}
