// Package wrong has no registry.
package wrong // want "there is no registry: declare var Registry"

type Room struct{}
