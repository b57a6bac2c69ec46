// Package limit decides which clients are admitted and how much may be held for them:
// sockets and calls per address (Admission), messages per socket (Messages), and the
// memory of frames, answers and messages that are under way (Buffers, Reader).
//
// Each type has a lock of its own and calls nothing while it holds it.
package limit
