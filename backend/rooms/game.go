package rooms

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/actor"
)

// The field on which players move, and the limits of a game room.
const (
	fieldWidth      = 1000
	fieldHeight     = 600
	maxPlayers      = 100
	maxWhisperRunes = 500
	gameTime        = time.Minute
	catchDistance   = 45.0 // from the middle of a player to that of the spotlight
)

// GameRoom is a field on which players move, see each other and whisper. A game takes a
// minute: who reaches the spotlight gets a point, and it moves elsewhere.
type GameRoom struct {
	Players actor.Map[string, PlayerState] `json:"players"` // by player id
	Started bool                           `json:"started"`
	Round   Round                          `json:"round"` // of the game that has started, or was the last
}

// Round is what counts in a game.
type Round struct {
	EndsAt    int64          `json:"endsAt"` // Unix milliseconds
	Spotlight Position       `json:"spotlight"`
	Scores    map[string]int `json:"scores"` // by player id; without those who have no point
}

// PlayerState is the public state of a player.
type PlayerState struct {
	Health   int      `json:"health"`
	Position Position `json:"position"`
}

// Position is a place on the field: x from 0 to 1000, y from 0 to 600.
type Position struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// Events of a game room.
type (
	// Game is the state of the game, sent to a new connection.
	Game struct {
		Players map[string]PlayerState `json:"players"`
		Started bool                   `json:"started"`
		Round   Round                  `json:"round"`
	}

	// PlayerJoined is sent to the others when a player joins.
	PlayerJoined struct {
		PlayerID string      `json:"playerId"`
		Player   PlayerState `json:"player"`
	}

	// PlayerLeft is sent to everyone when a player leaves.
	PlayerLeft struct {
		PlayerID string `json:"playerId"`
	}

	// PlayerMoved is sent to the others when a player moves.
	PlayerMoved struct {
		PlayerID string   `json:"playerId"`
		Position Position `json:"position"`
	}

	// PrivateMessage is a whisper, sent to its target only.
	PrivateMessage struct {
		From      string `json:"from"`
		Message   string `json:"message"`
		Timestamp int64  `json:"timestamp"` // Unix milliseconds
	}

	// GameStarted is sent to everyone when the game starts.
	GameStarted struct {
		StartedAt int64 `json:"startedAt"` // Unix milliseconds
		Round     Round `json:"round"`
	}

	// SpotlightCaught is sent to everyone when a player has reached the spotlight.
	SpotlightCaught struct {
		PlayerID  string   `json:"playerId"`
		Score     int      `json:"score"` // of that player now
		Spotlight Position `json:"spotlight"`
	}

	// GameEnded is sent to everyone when the minute is over.
	GameEnded struct {
		Scores  map[string]int `json:"scores"`
		Winners []string       `json:"winners"` // in order of their ids; several if they have as many points
	}
)

// Player is the state of a connection to a game room. A player may have several
// connections: two tabs are one player.
type Player struct {
	PlayerID string `json:"playerId"`
	Role     string `json:"role"`
}

// GameParams are the params that a client passes to connect().
type GameParams struct {
	PlayerID   string  `json:"playerId"`
	Role       string  `json:"role,omitempty"`
	SkillLevel float64 `json:"skillLevel,omitempty"`
	AuthToken  string  `json:"authToken,omitempty"`
}

// OnStart runs when the room is in memory again: a game that was running continues, or has
// ended.
func (g *GameRoom) OnStart(c *actor.Context[Player]) { g.endLater(c) }

// CreateConnState makes the state of a new connection from its params. An error refuses the
// connection. Anybody may play; a game with accounts would check p.AuthToken in OnAuth, and
// in OnAccess who may do what.
func (g *GameRoom) CreateConnState(_ *actor.ConnectContext, p GameParams) (Player, error) {
	if p.PlayerID == "" {
		return Player{}, actor.Errorf("player_id_required", "connect with a playerId")
	}
	if utf8.RuneCountInString(p.PlayerID) > maxNameRunes {
		return Player{}, actor.Errorf("player_id_too_long", "a playerId has at most %d characters", maxNameRunes)
	}
	if p.Role == "" {
		p.Role = "player"
	}
	return Player{PlayerID: p.PlayerID, Role: p.Role}, nil
}

// OnConnect puts a new player on the field. An error refuses it.
func (g *GameRoom) OnConnect(c *actor.Context[Player]) error {
	me := c.Conn().State().PlayerID
	if _, known := g.Players.Get(me); !known {
		if g.Players.Len() >= maxPlayers {
			return actor.Errorf("game_full", "a game takes at most %d players", maxPlayers)
		}
		player := PlayerState{Health: 100, Position: startPosition(g.Players.Len())}
		g.Players.Set(me, player)
		c.Broadcast(PlayerJoined{PlayerID: me, Player: player}, actor.Where(isNot(me)))
	}
	c.Conn().Send(g.GetGame(c))
	return nil
}

// OnDisconnect takes a player off the field with the last of its connections.
func (g *GameRoom) OnDisconnect(c *actor.Context[Player]) {
	me := c.Conn().State().PlayerID
	for conn := range c.Conns() {
		if conn.State().PlayerID == me {
			return
		}
	}
	g.Players.Delete(me)
	if g.Players.Len() == 0 {
		g.Started = false
	}
	c.Broadcast(PlayerLeft{PlayerID: me})
}

// UpdatePlayerPosition moves the caller's player. A position beyond the field becomes the
// nearest one on its edge.
func (g *GameRoom) UpdatePlayerPosition(c *actor.Context[Player], position Position) {
	me := c.Conn().State().PlayerID
	player, ok := g.Players.Get(me)
	if !ok {
		return
	}
	player.Position = Position{X: min(max(position.X, 0), fieldWidth), Y: min(max(position.Y, 0), fieldHeight)}
	g.Players.Set(me, player)
	for conn := range c.Conns() {
		if conn.State().PlayerID != me {
			conn.Send(PlayerMoved{PlayerID: me, Position: player.Position})
		}
	}
	if g.Started && distance(player.Position, g.Round.Spotlight) <= catchDistance {
		g.Round.Scores[me]++
		g.Round.Spotlight = placeFarFrom(player.Position)
		c.Broadcast(SpotlightCaught{PlayerID: me, Score: g.Round.Scores[me], Spotlight: g.Round.Spotlight})
	}
}

// SendPrivateMessage whispers to one player.
func (g *GameRoom) SendPrivateMessage(c *actor.Context[Player], targetPlayerID, message string) error {
	if n := utf8.RuneCountInString(message); n > maxWhisperRunes {
		return actor.Errorf("message_too_long", "a private message has at most %d characters, this one has %d", maxWhisperRunes, n)
	}
	found := false
	whisper := PrivateMessage{From: c.Conn().State().PlayerID, Message: message, Timestamp: c.Now().UnixMilli()}
	for conn := range c.Conns() {
		if conn.State().PlayerID == targetPlayerID {
			conn.Send(whisper)
			found = true
		}
	}
	if !found {
		return actor.Errorf("player_not_found", "Player not found or not connected")
	}
	return nil
}

// StartGame starts or restarts the game.
func (g *GameRoom) StartGame(c *actor.Context[Player]) {
	g.Started = true
	g.Round = Round{
		EndsAt:    c.Now().Add(gameTime).UnixMilli(),
		Spotlight: placeFarFrom(Position{X: fieldWidth / 2, Y: fieldHeight / 2}),
		Scores:    map[string]int{},
	}
	g.endLater(c)
	c.Broadcast(GameStarted{StartedAt: c.Now().UnixMilli(), Round: g.Round})
}

// endLater ends the game when its time is over, unless another one has started by then.
func (g *GameRoom) endLater(c *actor.Context[Player]) {
	if !g.Started {
		return
	}
	endsAt := g.Round.EndsAt
	c.After(max(0, time.UnixMilli(endsAt).Sub(c.Now())), func(c *actor.Context[Player]) error {
		if g.Started && g.Round.EndsAt == endsAt {
			g.Started = false
			c.Broadcast(GameEnded{Scores: g.Round.Scores, Winners: winners(g.Round.Scores)})
		}
		return nil
	})
}

// winners returns who has the most points, sorted.
func winners(scores map[string]int) []string {
	best := 0
	for _, score := range scores {
		best = max(best, score)
	}
	first := []string{}
	for id, score := range scores {
		if score == best {
			first = append(first, id)
		}
	}
	slices.Sort(first)
	return first
}

// GetGame returns the state of the game.
func (g GameRoom) GetGame(*actor.Context[Player]) Game {
	return Game{Players: maps.Collect(g.Players.All()), Started: g.Started, Round: g.Round}
}

// isNot is a filter for actor.Where: all connections except one player's.
func isNot(playerID string) func(*actor.Conn[Player]) bool {
	return func(conn *actor.Conn[Player]) bool { return conn.State().PlayerID != playerID }
}

// startPosition returns the start position of the n-th player.
func startPosition(n int) Position {
	return Position{X: float64(100 + n*317%800), Y: float64(100 + n*173%400)}
}

func distance(a, b Position) float64 { return math.Hypot(a.X-b.X, a.Y-b.Y) }

// placeFarFrom returns a random position that is not near another one, nor at the edge.
func placeFarFrom(other Position) Position {
	for {
		p := Position{X: math.Round(60 + rand.Float64()*(fieldWidth-120)), Y: math.Round(100 + rand.Float64()*(fieldHeight-160))}
		if distance(p, other) > fieldHeight/3 {
			return p
		}
	}
}
