package jetstream

import "github.com/troupe-dev/troupe/backend/store/internal/journal"

// ErrDamaged says that what is stored of an actor cannot be used, or not be added to. To try
// again does not help.
var ErrDamaged = journal.ErrDamaged
