package rooms

import "github.com/troupe-dev/troupe/backend/actor"

// Stage is an actor: its fields are its state, its methods its actions.
type Stage struct {
	Said  int                `json:"said"`  // so far
	Lines actor.List[Spoken] `json:"lines"` // the newest
}

// Spoken is an event: clients listen to "spoken".
type Spoken struct {
	Number int    `json:"number"`
	From   string `json:"from"`
	Text   string `json:"text"`
}

// Say adds a line. The new state and the event are one commit.
func (s *Stage) Say(c *actor.Context[actor.NoState], from, text string) error {
	if text == "" || len(from+text) > 500 {
		return actor.Errorf("bad_line", "say 1 to 500 bytes")
	}
	s.Said++
	line := Spoken{Number: s.Said, From: from, Text: text}
	s.Lines.Append(line)
	forgetOldest(&s.Lines, 100, 64<<10)
	c.Broadcast(line)
	return nil
}

// GetLines only reads: its receiver is a value.
func (s Stage) GetLines(*actor.Context[actor.NoState]) []Spoken {
	return s.Lines.Values()
}
