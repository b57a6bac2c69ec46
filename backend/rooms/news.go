package rooms

import (
	"cmp"
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

	// Articles brings a newcomer what it may read of what was published before.
	Articles struct {
		Articles []Article `json:"articles"`
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
	Subscription Subscription `json:"subscription,omitempty"`
}

// CreateConnState makes the state of a new connection from its params. An app
// with accounts would look up what the user pays for.
func (n *NewsRoom) CreateConnState(_ *actor.ConnectContext, p NewsParams) Reader {
	p.Subscription = cmp.Or(p.Subscription, SubscriptionFree)
	return Reader(p)
}

// OnConnect tells a newcomer what it may read.
func (n *NewsRoom) OnConnect(c *actor.Context[Reader]) {
	c.Conn().Send(Articles{Articles: n.GetArticles(c)})
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

// GetArticles returns the articles that the caller may read: the public ones,
// if it has no connection.
func (n NewsRoom) GetArticles(c *actor.Context[Reader]) []Article {
	var reader Reader
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
