package rooms_test

import (
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/rooms"
)

// news runs a test with a news room.
func news(t *testing.T, test func(room *actortest.Actor)) {
	actortest.Run(t, rooms.Registry, func(n *actortest.Node) { test(n.Actor("newsRoom", "daily")) })
}

func draft(content string, level rooms.Level) rooms.Draft {
	return rooms.Draft{Category: "tech", Content: content, Level: level}
}

func contents[A rooms.Article | rooms.NewArticle](articles []A) []string {
	var all []string
	for _, a := range articles {
		all = append(all, rooms.Article(a).Content)
	}
	return all
}

func TestNews_premiumArticlesReachPremiumReadersOnly(t *testing.T) {
	news(t, func(room *actortest.Actor) {
		free := room.Connect(nil)
		premium := room.Connect(rooms.NewsParams{UserID: "ada", Subscription: rooms.SubscriptionPremium})
		for _, d := range []rooms.Draft{draft("one", rooms.LevelPublic), draft("two", rooms.LevelPremium), draft("three", rooms.LevelPublic)} {
			a := actortest.Call[rooms.Article](free, "publishArticle", d)
			if a.ID == "" || a.Category != "tech" || a.Content != d.Content || a.Level != d.Level || a.Timestamp == 0 {
				t.Errorf("published %+v: got %+v", d, a)
			}
		}
		forAll, all := []string{"one", "three"}, []string{"one", "two", "three"}
		same(t, "free reader", contents(actortest.Events[rooms.NewArticle](free)), forAll)
		same(t, "premium reader", contents(actortest.Events[rooms.NewArticle](premium)), all)
		same(t, "getArticles, free", contents(actortest.Call[[]rooms.Article](free, "getArticles")), forAll)
		same(t, "getArticles, premium", contents(actortest.Call[[]rooms.Article](premium, "getArticles")), all)
		same(t, "getArticles without a connection", contents(actortest.Call[[]rooms.Article](room, "getArticles")), forAll)

		newcomer := room.Connect(rooms.NewsParams{Subscription: rooms.SubscriptionFree})
		same(t, "free newcomer", contents(actortest.Events[rooms.Articles](newcomer)[0].Articles), forAll)
		newcomer = room.Connect(rooms.NewsParams{Subscription: rooms.SubscriptionPremium})
		same(t, "premium newcomer", contents(actortest.Events[rooms.Articles](newcomer)[0].Articles), all)
	})
}

func TestNews_whatIsMissedIsWhatOneMayRead(t *testing.T) {
	news(t, func(room *actortest.Actor) {
		free := room.Connect(nil)
		free.Drop()
		actortest.Call[rooms.Article](room, "publishArticle", draft("one", rooms.LevelPremium))
		actortest.Call[rooms.Article](room, "publishArticle", draft("two", rooms.LevelPublic))
		free.Resume()
		same(t, "free reader", contents(actortest.Events[rooms.NewArticle](free)), []string{"two"})
	})
}

func TestNews_refuses(t *testing.T) {
	news(t, func(room *actortest.Actor) {
		if _, err := room.TryConnect(rooms.NewsParams{Subscription: "gold"}); code(err) != "invalid_params" {
			t.Errorf("subscription: got %v, want invalid_params", err)
		}
		for code, d := range map[string]rooms.Draft{
			"empty_article":    draft(" ", rooms.LevelPublic),
			"invalid_args":     draft("one", "secret"),
			"article_too_long": draft(strings.Repeat("ä", 10_001), rooms.LevelPublic),
		} {
			if err := room.Fail("publishArticle", d); err.Code != code {
				t.Errorf("got %v, want %s", err, code)
			}
		}
		same(t, "articles", len(actortest.Call[[]rooms.Article](room, "getArticles")), 0)
	})
}

func TestNews_keepsTheNewest(t *testing.T) {
	news(t, func(room *actortest.Actor) {
		for range 101 {
			actortest.Call[rooms.Article](room, "publishArticle", draft("short", rooms.LevelPublic))
		}
		same(t, "articles", len(actortest.Call[[]rooms.Article](room, "getArticles")), 100)
		for range 10 {
			actortest.Call[rooms.Article](room, "publishArticle", draft(strings.Repeat("<", 10_000), rooms.LevelPublic))
		}
		if n := len(actortest.Call[[]rooms.Article](room, "getArticles")); n != 4 {
			t.Errorf("got %d long articles, want 256 KiB of JSON", n)
		}
		room.Connect(nil)
	})
}
