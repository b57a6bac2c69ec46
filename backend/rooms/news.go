package rooms

import (
	"context"
	"crypto/rand"
	"strings"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Limits of a news room. What is kept is sent as one event to everybody who
// joins, so it has to stay well below the largest event (1 MiB of JSON).
const (
	maxCategoryRunes = 64
	maxArticleRunes  = 10_000
	keepArticles     = 100
	keepArticleBytes = 256 << 10 // of JSON
)

// NewsRoom is a place where articles appear. Some are for everybody, the others
// for those who pay.
type NewsRoom struct {
	Articles actor.List[Article] `json:"articles"` // the newest ones, oldest first
}

// Level says for whom an article is. Another value than its constants does not reach
// an action.
type Level string

// Levels of articles.
const (
	LevelPublic  Level = "public"
	LevelPremium Level = "premium"
)

// Subscription is what a reader pays for.
type Subscription string

// Subscriptions of readers.
const (
	SubscriptionFree    Subscription = "free"
	SubscriptionPremium Subscription = "premium"
)

// Draft is an article as it is handed in.
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
	// NewArticle brings an article to those who may read it.
	NewArticle Article

	// Articles brings a newcomer what it may read of what was published before; and
	// anew, when what it may read is another thing than before.
	Articles struct {
		Articles     []Article    `json:"articles"`
		Subscription Subscription `json:"subscription"` // that counts for this reader
	}
)

// Reader is the state of a connection to a news room.
type Reader struct {
	UserID       string       `json:"userId"`
	Subscription Subscription `json:"subscription"`
}

// NewsParams is what a client passes to connect().
type NewsParams struct {
	UserID       string       `json:"userId,omitempty"`
	Subscription Subscription `json:"subscription,omitempty"` // free: to read as somebody who does not pay
	Pass         string       `json:"pass,omitempty"`         // from POST /api/session, if it has just changed the session
}

// OnAuth says what somebody pays for, by the session that the server has signed:
// what a client says of itself counts for nothing. A visitor without one may read
// what is free.
func (NewsRoom) OnAuth(_ context.Context, r *actor.AuthRequest) (Session, error) {
	var p NewsParams
	r.Params(&p)
	return sessionOf(p.Pass, r.Header.Cookie(SessionCookie)), nil
}

// CreateConnState makes the state of a new connection. A reader gets what it pays
// for, or less if it wants that.
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

// OnConnect tells a newcomer what it may read.
func (n *NewsRoom) OnConnect(c *actor.Context[Reader]) { n.tell(c) }

// OnRefresh gives a reader whose session has changed what it may read now.
func (n *NewsRoom) OnRefresh(c *actor.Context[Reader]) {
	var p NewsParams
	c.Conn().Params(&p)
	if r := newReader(actor.Auth[Session](c), p); r != c.Conn().State() {
		c.Conn().SetState(r)
		n.tell(c)
	}
}

func (n *NewsRoom) tell(c *actor.Context[Reader]) {
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
