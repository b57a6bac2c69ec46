package rooms_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/rooms"
	"github.com/troupe-dev/troupe/backend/server"
)

// oldChat is a chat room as it was when it kept only its newest messages.
type oldChat struct {
	Messages actor.List[rooms.Message] `json:"messages"`
}

func (r *oldChat) Say(_ *actor.Context[actor.NoState], text string) {
	r.Messages.Append(rooms.Message{ID: "random" + text, UserID: "ada", Text: text})
}

// The messages of a room that was stored before there was a history are its first ones.
func TestChat_olderRoomsKeepTheirMessages(t *testing.T) {
	dir := t.TempDir()
	call := func(registry *actor.Registry, calls ...[2]string) (last string) {
		srv, err := server.New(registry, server.Options{Data: dir})
		if err != nil {
			t.Fatal(err)
		}
		web := httptest.NewServer(srv.Handler())
		defer func() {
			web.Close()
			if err := srv.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		for _, c := range calls {
			answer, err := http.Post(web.URL+"/api/actors/chatRoom/actions/"+c[0]+"?key=general", "application/json", strings.NewReader(`{"args":[`+c[1]+`]}`))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("%v: got %s, %s, %v", c, answer.Status, body, err)
			}
			last = string(body)
		}
		return last
	}
	call(actor.NewRegistry(actor.Define[oldChat]("chatRoom")), [2]string{"say", `"one"`}, [2]string{"say", `"two"`})
	if got := call(rooms.Registry, [2]string{"getMessages", ""}); !strings.Contains(got, `"id":"1","userId":"ada","text":"one"`) || !strings.Contains(got, `"text":"two"`) {
		t.Errorf("got %s before the room has changed, want one and two", got)
	}
	got := call(rooms.Registry, [2]string{"sendMessage", `"ada","three"`}, [2]string{"deleteMessage", `"2"`}, [2]string{"getMessages", ""})
	if !strings.Contains(got, `"text":"one"`) || strings.Contains(got, `"text":"two"`) || !strings.Contains(got, `"id":"3","userId":"ada","text":"three"`) {
		t.Errorf("got %s, want one and three", got)
	}
}
