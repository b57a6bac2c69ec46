package rooms_test

import (
	"strings"
	"testing"
	"time"

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
		pays := room.As(rooms.Session{Subscription: rooms.SubscriptionPremium})
		free := room.Connect(rooms.NewsParams{Subscription: rooms.SubscriptionPremium}) // a claim that is not trusted
		premium := pays.Connect(rooms.NewsParams{UserID: "ada"})
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
		same(t, "the same, who pays", contents(actortest.Call[[]rooms.Article](pays, "getArticles")), all)

		newcomer := pays.Connect(rooms.NewsParams{Subscription: rooms.SubscriptionFree})
		same(t, "a newcomer who wants less", contents(actortest.Events[rooms.Articles](newcomer)[0].Articles), forAll)
		newcomer = pays.Connect(nil)
		same(t, "premium newcomer", contents(actortest.Events[rooms.Articles](newcomer)[0].Articles), all)
	})
}

func TestNews_resumeKeepsSubscription(t *testing.T) {
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

// A reader who subscribes or unsubscribes is another subject: its client opens the connection
// again and gets the new articles, and nothing that was for the old subscription.
func TestNews_sessionChanges(t *testing.T) {
	news(t, func(room *actortest.Actor) {
		room.Connect(nil)
		actortest.Call[rooms.Article](room, "publishArticle", draft("one", rooms.LevelPremium))
		reader := room.Connect(nil)
		reader.Clear()
		reader.As(rooms.Session{Subscription: rooms.SubscriptionPremium}).Refresh(nil)
		why, _ := reader.Closed()
		same(t, "the reason to open it again", why, "identity")
		reader.Resume()
		got := actortest.Events[rooms.Articles](reader)
		if len(got) != 1 || got[0].Subscription != rooms.SubscriptionPremium || len(got[0].Articles) != 1 {
			t.Errorf("subscribed: got %+v", got)
		}
		reader.Refresh(nil)
		reader.Drop()
		actortest.Call[rooms.Article](room, "publishArticle", draft("while it was away", rooms.LevelPremium))
		reader.As(rooms.Session{Subscription: rooms.SubscriptionFree}).Resume()
		got = actortest.Events[rooms.Articles](reader)
		if len(got) != 2 || got[1].Subscription != rooms.SubscriptionFree || len(got[1].Articles) != 0 {
			t.Errorf("no longer: got %+v", got)
		}
		actortest.Call[rooms.Article](room, "publishArticle", draft("two", rooms.LevelPremium))
		same(t, "news", len(actortest.Events[rooms.NewArticle](reader)), 0)
	})
}

func TestNews_sessions(t *testing.T) {
	news(t, func(room *actortest.Actor) {
		rooms.SetSessionKey([]byte("somebody else's key, which is long enough"))
		forged, forgedPass := rooms.Session{Subscription: rooms.SubscriptionPremium}.Sign()
		rooms.SetSessionKey([]byte("the key of these tests, which is long enough"))
		cookie, pass := rooms.Session{Subscription: rooms.SubscriptionPremium}.Sign()
		free, freePass := rooms.Session{Subscription: rooms.SubscriptionFree}.Sign()
		check := func(what, cookie, pass string, want rooms.Subscription) {
			t.Helper()
			reader := room.WithHeader("Cookie", "a=b; session="+cookie).Connect(rooms.NewsParams{Pass: pass})
			same(t, what, actortest.Events[rooms.Articles](reader)[0].Subscription, want)
		}
		check("nobody", "", "", rooms.SubscriptionFree)
		check("a cookie", cookie, "", rooms.SubscriptionPremium)
		check("a pass", "", pass, rooms.SubscriptionPremium)
		check("a pass that is newer than the cookie", cookie, freePass, rooms.SubscriptionFree)
		check("and the other way round", free, pass, rooms.SubscriptionPremium)
		check("a cookie signed by another key", forged, forgedPass, rooms.SubscriptionFree)
		check("a pass as cookie, a cookie as pass", pass, cookie, rooms.SubscriptionFree)
		for i := range len(cookie) {
			changed := []byte(cookie)
			changed[i] ^= 1
			reader := room.WithHeader("Cookie", "session="+string(changed)).Connect(nil)
			if got := actortest.Events[rooms.Articles](reader)[0].Subscription; got != rooms.SubscriptionFree && i < len(cookie)-2 {
				t.Errorf("a cookie that was changed at %d: got %s", i, got) // the last bits of base64 may mean nothing
			}
			reader.Close()
		}
		time.Sleep(2 * time.Minute)
		check("a pass that is too old", "", pass, rooms.SubscriptionFree)
		check("a cookie beside it", cookie, pass, rooms.SubscriptionPremium)
		time.Sleep(rooms.SessionAge)
		check("a cookie that is too old", cookie, "", rooms.SubscriptionFree)
	})
}
