package wire

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ErrNotJSON means that a frame is neither a JSON object nor an array: the
// protocol is broken, and the socket should be closed with status 1008.
var ErrNotJSON = errors.New("wire: a frame must be a JSON object or an array of them")

// ErrNotUTF8 means that a frame has bytes that are not UTF-8: close the connection.
// Such bytes could reach other clients, whose browsers would close their sockets
// (RFC 6455, section 8.1).
var ErrNotUTF8 = errors.New("wire: a frame must be UTF-8")

// Split returns the messages of a frame, undecoded. The messages share memory
// with the frame.
func Split(frame []byte) ([]json.RawMessage, error) {
	frame = bytes.TrimLeft(frame, " \t\r\n")
	if len(frame) == 0 || !json.Valid(frame) {
		return nil, ErrNotJSON
	}
	switch frame[0] {
	case '{':
		return []json.RawMessage{frame}, nil
	case '[':
		var messages []json.RawMessage
		if err := json.Unmarshal(frame, &messages); err != nil {
			return nil, ErrNotJSON
		}
		return messages, nil
	}
	return nil, ErrNotJSON
}

// Envelope is the part of a message that an error about it refers to.
type Envelope struct {
	Type    string
	Channel uint32
	ID      uint64 // of a call
}

// DecodeEnvelope decodes the envelope of a message that may be invalid: fields of the
// wrong type stay zero.
func DecodeEnvelope(message []byte) Envelope {
	var raw struct {
		T  json.RawMessage `json:"t"`
		C  json.RawMessage `json:"c"`
		ID json.RawMessage `json:"id"`
	}
	var e Envelope
	if json.Unmarshal(message, &raw) != nil {
		return e
	}
	// Ignore fields of the wrong type: they stay zero.
	_ = json.Unmarshal(raw.T, &e.Type)
	_ = json.Unmarshal(raw.C, &e.Channel)
	_ = json.Unmarshal(raw.ID, &e.ID)
	return e
}

// DecodeClient decodes one message of a client.
func DecodeClient(message []byte) (ClientMessage, error) {
	var m ClientMessage
	err := json.Unmarshal(message, &m)
	return m, err
}
