// Package limit decides who may come in and how much may be held for clients:
// sockets and calls per address (Admission), messages per socket (Messages), and
// the memory of frames, answers and messages that are under way (Buffers, Reader).
//
// Each type has a lock of its own and calls nothing while it holds it.
package limit
