// Package attack has no code. Its tests attack the real binary from one address, as a
// stranger may, and measure what a bystander at another address notices, and what the
// server spends: CPU time, bytes written, memory.
//
// The server trusts the test as a proxy, so that each client has the address it names in
// X-Forwarded-For. Limits of rates are off where they only make an attack take longer.
// While a bystander is measured, attackers keep to the rates that the default limits let one address
// have in the long run.
//
//	go test ./backend/attack                         a short form: counts, ratios and CPU time
//	make attack                                      the long form, which measures latency, too
//	go test ./backend/attack -attack.seed=42 -v      the random choices of another run
package attack
