package readme

import (
	"context"
	"net/http"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/server"
)

// session is a row of the app's database.
type session struct {
	user  string
	admin bool
	ends  time.Time
}

// lookUpSession finds a session, as a database would; nil if there is none.
var lookUpSession = func(_ context.Context, id string) (*session, error) {
	return map[string]*session{
		"s1": {user: "ada", ends: time.Now().Add(time.Hour)},
		"s2": {user: "bob", ends: time.Now().Add(time.Hour)},
		"s3": {user: "root", admin: true, ends: time.Now().Add(time.Hour)},
	}[id], nil
}

// endSessions ends all sessions of a user.
var endSessions = func(_ context.Context, user string) error { return nil }

// Club is a room with members.
type Club struct {
	Members []string `json:"members"`
	Said    []string `json:"said"`
}

// Visitor is who makes a request. The zero value is nobody.
type Visitor struct {
	Name  string    `json:"name"`
	Admin bool      `json:"admin"`
	Ends  time.Time `json:"ends"`
}

// Subject says who it is, whatever else changes.
func (v Visitor) Subject() string { return v.Name }

// ValidUntil is when OnAuth has to run again.
func (v Visitor) ValidUntil() time.Time { return v.Ends }

// OnAuth identifies the visitor. A guest is nobody, and no error.
func (Club) OnAuth(ctx context.Context, r *actor.AuthRequest) (Visitor, error) {
	s, err := lookUpSession(ctx, r.Header.Cookie("session"))
	if s == nil || err != nil {
		return Visitor{}, err
	}
	return Visitor{Name: s.user, Admin: s.admin, Ends: s.ends}, nil
}

// OnAccess decides about every request.
func (r Club) OnAccess(c *actor.AccessContext) error {
	me := actor.Auth[Visitor](c)
	if me.Admin {
		return nil
	}
	if me.Name != "" && c.Exists() && r.isMember(me.Name) && c.Action() != "invite" {
		return nil
	}
	return actor.Errorf("forbidden", "members only, and only admins found clubs and invite")
}

// Invite makes a user a member.
func (r *Club) Invite(_ *actor.Context[actor.NoState], user string) {
	if !r.isMember(user) {
		r.Members = append(r.Members, user)
	}
}

// Say adds what the caller says. Who that is comes from OnAuth, never from an argument.
func (r *Club) Say(c *actor.Context[actor.NoState], text string) {
	r.Said = append(r.Said, actor.Auth[Visitor](c).Name+": "+text)
}

func (r Club) isMember(user string) bool {
	for _, m := range r.Members {
		if m == user {
			return true
		}
	}
	return false
}

func signOut(srv *server.Server) http.Handler {
	return srv.CheckOrigin(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("session")
		if err != nil {
			return
		}
		s, err := lookUpSession(r.Context(), cookie.Value)
		if s == nil || err != nil {
			return
		}
		if err = endSessions(r.Context(), s.user); err == nil { // first: what ends must not come back
			err = srv.Disconnect(r.Context(), s.user, "signed out")
		}
		if err != nil {
			http.Error(w, "please try again", http.StatusServiceUnavailable)
		}
	}))
}
