// Package crashtest has no code. Its tests run the real binary under load, crash it
// and cut its links, and then compare the acknowledged calls, the events that every
// client saw, and the actors' states.
//
// The server is killed (kill -9) and stopped (SIGTERM) at random moments, many of
// them right after a client has received an event. Links are cut at random moments,
// also in the middle of frames; clients come back at once or stay away for a while.
// In about half of the rounds the server keeps a small journal, so that it is killed
// while it snapshots and trims. The clients speak the protocol of package wire, like
// the JavaScript client.
//
// TestG12_MessagesAndCrashes kills a server whose actors send each other money and have
// alarms, and counts both.
//
// TestG10_NodesCrash does the same to a cluster behind a proxy that sends each request to another
// node. Nodes are killed, stopped with SIGSTOP and SIGTERM, and cut off from others; where the
// tests may mount file systems, disks are full, and forget what was not synced because their
// power is cut, that of one node or of all at once. Reads have to show what was acknowledged
// before them. TestG12_NodesCrash counts money and alarms there, and TestG12_NodesDeploy does
// while the nodes get another binary, one after the other. TestG12_NodesBackup restores backups that
// were made meanwhile, and TestG10_NodesTables compares tables with models.
//
// TestPauses breaks no guarantee: it measures for how long actors pause when a node of three leaves,
// is killed and joins.
//
// Other tests give the server a disk that is full, read-only or gone.
//
//	go test ./backend/crashtest                        a few rounds
//	make test-crash                                    hundreds
//	make test-cluster                                  three nodes
//	make pauses                                        how long they pause
//	go test ./backend/crashtest -crash.seed=42 -v      the random choices of another run
package crashtest
