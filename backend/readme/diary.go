package readme

import (
	"context"
	"slices"

	"github.com/troupe-dev/troupe/backend/actor"
)

// lookUp finds the user of a session, as a database would.
var lookUp = func(_ context.Context, session string) (user string, ok bool) {
	user, ok = map[string]string{"s1": "ada", "s2": "bob"}[session]
	return user, ok
}

// Diary is one user's: its key is the user's name.
type Diary struct {
	Pages []string `json:"pages"`
}

// User is who makes a request.
type User struct {
	Name string `json:"name"`
}

// OnAuth identifies the user of a request, before a connection or a single call.
func (Diary) OnAuth(ctx context.Context, r *actor.AuthRequest) (User, error) {
	name, ok := lookUp(ctx, r.Header.Cookie("session"))
	if !ok {
		return User{}, actor.Errorf("unauthorized", "please sign in")
	}
	return User{name}, nil
}

// OnAccess decides about every request: to connect, to call an action, with a connection or
// without, to create the diary, or to look it up.
func (Diary) OnAccess(c *actor.AccessContext) error {
	if !slices.Equal(c.Key(), actor.Key{actor.Auth[User](c).Name}) {
		return actor.Errorf("forbidden", "this is somebody else's diary")
	}
	return nil
}

// Write adds a page.
func (d *Diary) Write(c *actor.Context[actor.NoState], page string) {
	d.Pages = append(d.Pages, page)
}
