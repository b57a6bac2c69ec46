package rooms

import (
	"context"
	"crypto/rand"
	"strings"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Limits of a news room. All articles are sent as one event to a new connection, so they
// must stay well below the largest event (1 MiB of JSON).
const (
	maxCategoryRunes = 64
	maxArticleRunes  = 10_000
	keepArticles     = 100
	keepArticleBytes = 256 << 10 // of JSON
)

// NewsRoom publishes articles: some for everyone, the others for subscribers.
type NewsRoom struct {
	Articles actor.List[Article] `json:"articles"` // the newest ones, oldest first
}

// Level is the audience of an article. Calls with a value other than its constants are
// refused.
type Level string

// Levels of articles.
const (
	LevelPublic  Level = "public"
	LevelPremium Level = "premium"
)

// Subscription is the subscription of a reader.
type Subscription string

// Subscriptions of readers.
const (
	SubscriptionFree    Subscription = "free"
	SubscriptionPremium Subscription = "premium"
)

// Draft is an article before it is published.
type Draft struct {
	Category string `json:"category"`
	Content  string `json:"content"`
	Level    Level  `json:"level"`
}

// Article is a published article.
type Article struct {
	ID        string `json:"id"`
	Category  string `json:"category"`
	Content   string `json:"content"`
	Level     Level  `json:"level"`
	Timestamp int64  `json:"timestamp"` // Unix milliseconds
}

// Events of a news room.
type (
	// NewArticle is a new article, sent to the readers who may read it.
	NewArticle Article

	// Articles has all articles that a reader may read. It is sent to a new connection,
	// and again when the reader's subscription changes.
	Articles struct {
		Articles     []Article    `json:"articles"`
		Subscription Subscription `json:"subscription"` // of this reader
	}
)

// Reader is the state of a connection to a news room.
type Reader struct {
	UserID       string       `json:"userId"`
	Subscription Subscription `json:"subscription"`
}

// NewsParams are the params that a client passes to connect().
type NewsParams struct {
	UserID       string       `json:"userId,omitempty"`
	Subscription Subscription `json:"subscription,omitempty"` // free: read without the subscription
	Pass         string       `json:"pass,omitempty"`         // from POST /api/session, if the session has just changed
}

// OnAuth returns the session that the server has signed; the params' subscription is not
// trusted, unless it asks for less. A visitor without a session may read what is free.
func (NewsRoom) OnAuth(_ context.Context, r *actor.AuthRequest) (Session, error) {
	var p NewsParams
	if r.Params(&p); p.Subscription == SubscriptionFree {
		return Session{SubscriptionFree}, nil
	}
	return sessionOf(p.Pass, r.Header.Cookie(SessionCookie)), nil
}

// CreateConnState makes the state of a new connection. Its subscription is that of the
// session, or free if the client wants that.
func (n *NewsRoom) CreateConnState(c *actor.ConnectContext, p NewsParams) Reader {
	return newReader(actor.Auth[Session](c), p)
}

func newReader(s Session, p NewsParams) Reader {
	r := Reader{UserID: p.UserID, Subscription: SubscriptionFree}
	if p.Subscription != SubscriptionFree && s.Subscription == SubscriptionPremium {
		r.Subscription = SubscriptionPremium
	}
	return r
}

// OnConnect sends a new connection its articles.
func (n *NewsRoom) OnConnect(c *actor.Context[Reader]) { n.sendArticles(c) }

// OnRefresh sends a reader who wants to read with the subscription, or without it, the
// articles for that. (A session that has changed is another subject, with a new connection.)
func (n *NewsRoom) OnRefresh(c *actor.Context[Reader]) {
	var p NewsParams
	c.Conn().Params(&p)
	if r := newReader(actor.Auth[Session](c), p); r != c.Conn().State() {
		c.Conn().SetState(r)
		n.sendArticles(c)
	}
}

func (n *NewsRoom) sendArticles(c *actor.Context[Reader]) {
	c.Conn().Send(Articles{Articles: n.GetArticles(c), Subscription: c.Conn().State().Subscription})
}

// PublishArticle publishes an article and returns it.
func (n *NewsRoom) PublishArticle(c *actor.Context[Reader], article Draft) (Article, error) {
	if strings.TrimSpace(article.Content) == "" {
		return Article{}, actor.Errorf("empty_article", "an article needs a content")
	}
	if utf8.RuneCountInString(article.Content) > maxArticleRunes || utf8.RuneCountInString(article.Category) > maxCategoryRunes {
		return Article{}, actor.Errorf("article_too_long", "an article has at most %d characters, its category %d", maxArticleRunes, maxCategoryRunes)
	}
	a := Article{
		ID: rand.Text(), Category: article.Category, Content: article.Content,
		Level: article.Level, Timestamp: c.Now().UnixMilli(),
	}
	n.Articles.Append(a)
	forgetOldest(&n.Articles, keepArticles, keepArticleBytes)
	c.Broadcast(NewArticle(a), actor.Where(func(conn *actor.Conn[Reader]) bool {
		return conn.State().mayRead(a)
	}))
	return a, nil
}

// GetArticles returns the articles that the caller may read.
func (n NewsRoom) GetArticles(c *actor.Context[Reader]) []Article {
	reader := newReader(actor.Auth[Session](c), NewsParams{})
	if c.HasConn() {
		reader = c.Conn().State()
	}
	articles := []Article{}
	for _, a := range n.Articles.All() {
		if reader.mayRead(a) {
			articles = append(articles, a)
		}
	}
	return articles
}

func (r Reader) mayRead(a Article) bool {
	return a.Level == LevelPublic || r.Subscription == SubscriptionPremium
}
