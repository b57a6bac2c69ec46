package wire

// Limits are the limits that a gateway enforces and sends in hello. Sizes are in bytes.
type Limits struct {
	Message  int     `json:"message"`  // largest message from a client [64 KiB]
	Frame    int     `json:"frame"`    // largest frame from a client [256 KiB]
	Params   int     `json:"params"`   // largest params [4 KiB]
	InFlight int     `json:"inFlight"` // unanswered calls per connection [64]
	Channels int     `json:"channels"` // channels on one socket [500]
	Rate     float64 `json:"rate"`     // messages per second and socket, in the long run [100]
	Burst    int     `json:"burst"`    // messages at once [200]
}

// DefaultLimits are the limits of a gateway without options.
var DefaultLimits = Limits{
	Message: 64 << 10, Frame: 256 << 10, Params: 4 << 10,
	InFlight: 64, Channels: 500, Rate: 100, Burst: 200,
}
