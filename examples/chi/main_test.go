package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

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

	vote := url + "/api/actors/poll/actions/vote?key=lunch"
	answer, err := http.Post(vote, "application/json", strings.NewReader(`{"args":["soup"]}`))
	check(t, answer, err, http.StatusOK, `{"result":{"soup":1}}`)
	answer, err = http.Post(vote, "application/json", strings.NewReader(`{"args":[""]}`))
	check(t, answer, err, http.StatusUnprocessableEntity, "bad_choice")
	answer, err = http.Get(url + "/v1/hello/ada")
	check(t, answer, err, http.StatusOK, "Hello, ada!")
	answer, err = http.Get(url + "/readyz")
	check(t, answer, err, http.StatusOK, "")

	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// check checks the status of an answer, and that its body has some text.
func check(t *testing.T, answer *http.Response, err error, status int, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != status || !strings.Contains(string(body), want) {
		t.Errorf("got %s, %s and %v, want %d and %s", answer.Status, body, err, status, want)
	}
}
