package readme

import "github.com/troupe-dev/troupe/backend/actor"

// Channel keeps everything that was ever said in it.
type Channel struct {
	Topic string                      `json:"topic"` // encoded whole when it may have changed
	Tags  actor.List[string]          `json:"tags"`  // in memory; only changes are stored
	Posts actor.Table[uint64, Post]   `json:"posts"` // in the store; read by pages
	Pins  actor.Table[string, uint64] `json:"pins"`  // an index: from a name to a key of Posts
}

// Post is what somebody said.
type Post struct {
	Author string `json:"author"`
	Text   string `json:"text"`
}

// Say adds a post and returns its key.
func (ch *Channel) Say(c *actor.Context[actor.NoState], p Post) uint64 {
	return ch.Posts.Append(p)
}

// GetPosts returns up to 50 posts before a key; null is the end.
func (ch Channel) GetPosts(c *actor.Context[actor.NoState], before *uint64) actor.Page[uint64, Post] {
	return ch.Posts.Page(actor.Before(before), 50)
}

// Pin gives a post a name. Both tables change in one turn, or neither does.
func (ch *Channel) Pin(c *actor.Context[actor.NoState], name string, key uint64) error {
	if _, ok := ch.Posts.Get(key); !ok {
		return actor.Errorf("no_post", "there is no post %d", key)
	}
	ch.Pins.Set(name, key)
	return nil
}

// LastBy returns the newest posts of an author, of the last thousand.
func (ch Channel) LastBy(c *actor.Context[actor.NoState], author string) []Post {
	var found []Post
	seen := 0
	for _, p := range ch.Posts.Backward() {
		if p.Author == author {
			found = append(found, p)
		}
		if seen++; seen == 1000 || len(found) == 10 {
			break
		}
	}
	return found
}
