package rooms_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/rooms"
)

// game runs a test with a game room.
func game(t *testing.T, test func(room *actortest.Actor)) {
	actortest.Run(t, rooms.Registry, func(n *actortest.Node) { test(n.Actor("gameRoom", "room-456")) })
}

func player(id string) rooms.GameParams { return rooms.GameParams{PlayerID: id} }

func TestGame_requiresPlayerID(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		for want, params := range map[string]any{
			"player_id_required": player(""),
			"player_id_too_long": player(strings.Repeat("a", 65)),
			"invalid_params":     nil,
		} {
			if _, err := room.TryConnect(params); code(err) != want {
				t.Errorf("%v: got %v, want %s", params, err, want)
			}
		}
		room.Connect(map[string]any{"playerId": "ada", "skillLevel": 3.5, "authToken": "t"})
	})
}

func TestGame_playersJoinAndLeave(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		ada := room.Connect(player("ada"))
		bob := room.Connect(player("bob"))
		tab := room.Connect(player("bob"))

		state := actortest.Call[rooms.Game](room, "getGame")
		if len(state.Players) != 2 || state.Players["ada"].Health != 100 || state.Players["ada"].Position == state.Players["bob"].Position {
			t.Errorf("got %+v, want two players at two places", state)
		}
		same(t, "the newcomer's event", actortest.Events[rooms.Game](tab), []rooms.Game{state})
		same(t, "what ada hears", actortest.Events[rooms.PlayerJoined](ada), []rooms.PlayerJoined{{PlayerID: "bob", Player: state.Players["bob"]}})
		same(t, "bob's events about himself", len(actortest.Events[rooms.PlayerJoined](bob)), 0)

		tab.Close()
		same(t, "one tab closed", len(actortest.Events[rooms.PlayerLeft](ada)), 0)
		bob.Drop()
		same(t, "link lost", len(actortest.Events[rooms.PlayerLeft](ada)), 0)
		bob.Resume()
		bob.Close()
		same(t, "gone", actortest.Events[rooms.PlayerLeft](ada), []rooms.PlayerLeft{{PlayerID: "bob"}})
		same(t, "players", len(actortest.Call[rooms.Game](room, "getGame").Players), 1)
	})
}

func TestGame_droppedPlayerLeaves(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		ada, bob := room.Connect(player("ada")), room.Connect(player("bob"))
		bob.Drop()
		time.Sleep(5 * time.Minute)
		same(t, "left", actortest.Events[rooms.PlayerLeft](ada), []rooms.PlayerLeft{{PlayerID: "bob"}})
	})
}

func TestGame_playersMove(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		ada, tab, bob := room.Connect(player("ada")), room.Connect(player("ada")), room.Connect(player("bob"))
		actortest.Call[any](ada, "updatePlayerPosition", rooms.Position{X: 10, Y: 20.5})
		actortest.Call[any](ada, "updatePlayerPosition", rooms.Position{X: -5, Y: 1e9}) // to the edge
		same(t, "bob", actortest.Events[rooms.PlayerMoved](bob), []rooms.PlayerMoved{
			{PlayerID: "ada", Position: rooms.Position{X: 10, Y: 20.5}},
			{PlayerID: "ada", Position: rooms.Position{X: 0, Y: 600}},
		})
		same(t, "ada", len(actortest.Events[rooms.PlayerMoved](ada)), 0)
		same(t, "her other tab", len(actortest.Events[rooms.PlayerMoved](tab)), 0)
		same(t, "state", actortest.Call[rooms.Game](room, "getGame").Players["ada"].Position, rooms.Position{X: 0, Y: 600})
		if err := room.Fail("updatePlayerPosition", rooms.Position{}); err.Code != "connection_required" {
			t.Errorf("without a connection: got %v, want connection_required", err)
		}
	})
}

func TestGame_privateMessage(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		ada, bob, tab, cleo := room.Connect(player("ada")), room.Connect(player("bob")), room.Connect(player("bob")), room.Connect(player("cleo"))
		bob.Drop() // still connected: gets it later
		actortest.Call[any](ada, "sendPrivateMessage", "bob", "psst")
		bob.Resume()
		want := []rooms.PrivateMessage{{From: "ada", Message: "psst", Timestamp: time.Now().UnixMilli()}}
		same(t, "bob", actortest.Events[rooms.PrivateMessage](bob), want)
		same(t, "his other tab", actortest.Events[rooms.PrivateMessage](tab), want)
		same(t, "cleo", len(actortest.Events[rooms.PrivateMessage](cleo)), 0)
		same(t, "ada", len(actortest.Events[rooms.PrivateMessage](ada)), 0)

		err := ada.Fail("sendPrivateMessage", "dora", "psst")
		if err.Code != "player_not_found" || err.Message != "Player not found or not connected" {
			t.Errorf("nobody: got %v", err)
		}
		if err := ada.Fail("sendPrivateMessage", "bob", strings.Repeat("s", 501)); err.Code != "message_too_long" {
			t.Errorf("too long: got %v, want message_too_long", err)
		}
	})
}

func TestGame_fullGame(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		for i := range 100 {
			room.Connect(player(fmt.Sprint("player ", i)))
		}
		_, err := room.TryConnect(player("one too many"))
		same(t, "the code", code(err), "game_full")
		room.Connect(player("player 1")) // a second tab
	})
}

func TestGame_starts(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		ada, bob := room.Connect(player("ada")), room.Connect(player("bob"))
		actortest.Call[any](ada, "startGame")
		now := time.Now()
		state := actortest.Call[rooms.Game](room, "getGame")
		same(t, "started", state.Started, true)
		same(t, "the end", state.Round.EndsAt, now.Add(time.Minute).UnixMilli())
		same(t, "bob", actortest.Events[rooms.GameStarted](bob), []rooms.GameStarted{{StartedAt: now.UnixMilli(), Round: state.Round}})
		ada.Close()
		bob.Close()
		same(t, "started, when all have left", actortest.Call[rooms.Game](room, "getGame").Started, false)
	})
}

// catch moves a player to the spotlight, and returns where it is then.
func catch(player *actortest.Conn) rooms.Position {
	at := actortest.Call[rooms.Game](player, "getGame").Round.Spotlight
	actortest.Call[any](player, "updatePlayerPosition", at)
	return actortest.Call[rooms.Game](player, "getGame").Round.Spotlight
}

func TestGame_theSpotlightGivesPoints(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		ada, bob := room.Connect(player("ada")), room.Connect(player("bob"))
		actortest.Call[any](ada, "startGame")
		var want []rooms.SpotlightCaught
		for i := range 3 {
			want = append(want, rooms.SpotlightCaught{PlayerID: "ada", Score: i + 1, Spotlight: catch(ada)})
		}
		want = append(want, rooms.SpotlightCaught{PlayerID: "bob", Score: 1, Spotlight: catch(bob)})
		actortest.Call[any](bob, "updatePlayerPosition", rooms.Position{}) // the spotlight is never in a corner
		same(t, "what everybody hears", actortest.Events[rooms.SpotlightCaught](ada), want)

		time.Sleep(time.Minute)
		scores := map[string]int{"ada": 3, "bob": 1}
		same(t, "the end", actortest.Events[rooms.GameEnded](bob), []rooms.GameEnded{{Scores: scores, Winners: []string{"ada"}}})
		catch(bob)
		state := actortest.Call[rooms.Game](room, "getGame")
		same(t, "started, after the end", state.Started, false)
		same(t, "scores, after the end", state.Round.Scores, scores)
	})
}

func TestGame_aTieHasTwoWinners(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		bob, ada := room.Connect(player("bob")), room.Connect(player("ada"))
		actortest.Call[any](ada, "startGame")
		catch(bob)
		catch(ada)
		time.Sleep(time.Minute)
		same(t, "winners", actortest.Events[rooms.GameEnded](ada)[0].Winners, []string{"ada", "bob"})
	})
}

func TestGame_startingAgainTakesAnotherMinute(t *testing.T) {
	game(t, func(room *actortest.Actor) {
		ada := room.Connect(player("ada"))
		actortest.Call[any](ada, "startGame")
		catch(ada)
		time.Sleep(50 * time.Second)
		actortest.Call[any](ada, "startGame")
		time.Sleep(59 * time.Second)
		same(t, "ended", len(actortest.Events[rooms.GameEnded](ada)), 0)
		time.Sleep(time.Second)
		same(t, "ended", actortest.Events[rooms.GameEnded](ada), []rooms.GameEnded{{Scores: map[string]int{}, Winners: []string{}}})
	})
}

// A timer is lost with the server; the game is not.
func TestGame_endsInTimeAfterARestart(t *testing.T) {
	actortest.Run(t, rooms.Registry, func(n *actortest.Node) {
		ada := n.Actor("gameRoom", "room-456").Connect(player("ada"))
		actortest.Call[any](ada, "startGame")
		catch(ada)
		time.Sleep(20 * time.Second)
		n.Restart()
		ada.Resume()
		time.Sleep(39 * time.Second)
		same(t, "ended", len(actortest.Events[rooms.GameEnded](ada)), 0)
		time.Sleep(time.Second)
		same(t, "ended", actortest.Events[rooms.GameEnded](ada), []rooms.GameEnded{{Scores: map[string]int{"ada": 1}, Winners: []string{"ada"}}})
	})
}
