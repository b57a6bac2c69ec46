package server_test

import (
	"database/sql"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/server"
)

// No log line has a client's secrets, whatever goes wrong and whatever the level is.
func TestLogHasNoSecrets(t *testing.T) {
	const canary = "canaryCANARYcanary"
	dir := t.TempDir()
	s := start(t, server.Options{Data: dir})
	k, caller := "k"+canary[:16]+"AAAAA"[:5], "c"+canary[:16]+"AAAAA"[:5]
	call := func(method, path, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range []string{"Cookie", "Authorization", "Idempotency-Key", "Referer", "User-Agent"} {
			r.Header.Set(header, "session="+canary)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.Copy(io.Discard, response.Body); errors.Join(err, response.Body.Close()) != nil {
			t.Fatal(err)
		}
	}
	socket := func(frames ...string) {
		t.Helper()
		header := http.Header{"Cookie": {"session=" + canary}, "Authorization": {"Bearer " + canary}}
		conn, _, err := websocket.Dial(t.Context(), strings.Replace(s.url, "http", "ws", 1)+"/api/socket?v=1", &websocket.DialOptions{HTTPHeader: header})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		for _, frame := range frames {
			write(t, conn, frame)
		}
		write(t, conn, "no JSON: "+canary) // ends the socket, after all earlier frames
		for err == nil {
			_, _, err = conn.Read(t.Context())
		}
	}
	raw := func(text string) {
		t.Helper()
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // until the server has responded and closed
	}
	open := `{"t":"open","c":1,"actor":"room","key":["log"],"k":"` + k + `","caller":"` + caller + `","params":{"name":"` + canary + `"}`
	everything := func() {
		socket(open+`}`,
			`{"t":"call","c":1,"id":1,"a":"sendMessage","args":["x","`+canary+`"]}`,
			`{"t":"call","c":1,"id":2,"a":"`+canary+`","args":["`+canary+`"]}`,
			`{"t":"call","c":1,"id":3,"a":"sendMessage","args":[{"`+canary+`":1}]}`,
			`{"t":"call","c":1,"id":4,"a":"sendMessage","args":["`+canary+strings.Repeat("x", 70<<10)+`"]}`,
			`{"t":"sub","c":1,"e":["`+canary+`"]}`, `{"t":"`+canary+`"}`, `{"t":"params","c":1,"params":{"`+canary+`":7}}`)
		socket(strings.Replace(open, `"params"`, `"log":"`+canary+`","s":7,"params"`, 1)+`}`, open+`}`)
		socket(strings.Replace(open, `{"name":"`+canary+`"}`, `["`+canary+`"]`, 1) + `}`)
		socket(strings.Replace(open, k, canary, 1) + `}`)
		call("POST", "/api/actors/room/actions/sendMessage?key=log", `{"args":["x","`+canary+`"]}`)
		call("POST", "/api/actors/room/actions/"+canary+"?key=log&token="+canary, `{"args":[]}`)
		call("POST", "/api/actors/room/actions/sendMessage?key=log", canary)
		call("POST", "/api/actors/room/actions/sendMessage?key=log", strings.Repeat(canary, 10_000))
		call("POST", "/api/actors/room", `{"key":["log"],"input":"`+canary+`"}`)
		call("GET", "/api/socket?v=1&token="+canary, "")
		call("GET", "/"+canary+"?token="+canary, "")
		raw("GET /" + canary + " HTTP/9.9\r\nCookie: " + canary + "\r\n\r\n")
		raw("GET / HTTP/1.1\r\nHost: localhost\r\nBad header " + canary + "\r\n\r\n")
		raw(canary + "\r\n\r\n")
	}
	everything()
	db, err := sql.Open("sqlite", filepath.Join(dir, "troupe.db"))
	if err == nil {
		_, err = db.Exec("UPDATE meta SET epoch = epoch + 1") // no commit works any more
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	everything()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	log := s.log.String()
	for line := range strings.Lines(log) {
		for _, secret := range []string{canary, k, caller} {
			if strings.Contains(strings.ToLower(line), strings.ToLower(secret)) {
				t.Errorf("the log has a secret: %s", line)
			}
		}
	}
	for _, want := range []string{"a socket is open", "a socket is closed", "sent an invalid message", "address=127.0.0.1", "the store cannot be written", "reset to its last durable state", "actor=room"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q, so this test does not cover it:\n%s", want, log)
		}
	}
}
