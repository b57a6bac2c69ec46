package jetstream

import "time"

// Stats are figures of a store, for metrics and health.
type Stats struct {
	JournalBytes int64         // of commits that may be read again, also of other journals
	Residents    int           // actors in memory
	Saves        int           // heads that were written
	Retries      int64         // of messages of the journal
	StaleReads   int64         // answers from replicas that were behind, or none
	Lease        time.Duration // for how long Valid stays true without another message
	Stuck        time.Duration // how long the outcome of a commit has been unknown
	Trouble      error         // why actors could not be saved the last time that was tried
}

// Stats returns the figures as they are.
func (s *Store) Stats() Stats {
	stats := Stats{Lease: s.own.leaseLeft(), Retries: s.own.retries.Load(), StaleReads: s.staleReads.Load()}
	if s.own.isStuck.Load() {
		stats.Stuck = s.own.boot() - time.Duration(s.own.stuckSince.Load())
	}
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	stats.JournalBytes, stats.Residents, stats.Saves = s.index.Bytes, len(s.index.ByID), s.keeper.saves
	stats.Trouble = s.keeper.trouble
	return stats
}
