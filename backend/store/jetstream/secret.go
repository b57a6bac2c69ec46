package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Secret implements store.Store. Nodes that ask at the same time get the same value: it is
// stored only if there is none, whatever was read before.
func (c *client) Secret(ctx context.Context, name string, generate func() []byte) (value []byte, err error) {
	var made []byte
	err = c.retry(ctx, func(ctx context.Context) (bool, error) {
		seq, data, err := c.leaderLast(ctx, c.table, c.secret(name))
		if err != nil {
			return false, err
		}
		if seq > 0 {
			value = data
			return true, nil
		}
		if made == nil {
			if made = generate(); len(made) == 0 {
				return true, errors.New("an empty value")
			}
		}
		_, err = c.publish(ctx, expect(&nats.Msg{Subject: c.secret(name), Data: made}, 0))
		return false, errors.Join(err, errAgain) // read what is there now
	})
	if err != nil {
		return nil, fmt.Errorf("the secret %s: %w", name, err)
	}
	return value, nil
}

var errAgain = errors.New("read again")
