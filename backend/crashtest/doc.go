// Package crashtest has no code: its tests break the real binary in every way
// that a machine and a network do, under load, and compare afterwards what was
// acknowledged, what every client saw, and what is in the actors' states.
//
// The server is killed (kill -9) and stopped (SIGTERM) at random moments, many of
// them right after a client has received an event; links are cut at random
// moments, in the middle of frames too; clients come back at once or stay away.
// In about half of the rounds the server keeps a small journal, so that it is
// killed while it snapshots and trims.
// They speak the wire protocol as it is written down in package wire, as the
// JavaScript client does.
//
//	go test ./backend/crashtest                        a few rounds
//	make test-crash                                    hundreds
//	go test ./backend/crashtest -crash.seed=42 -v      the random choices of another run
package crashtest
