// Package dispatch makes one HTTP attempt and reports its outcome. It knows
// nothing of retries, messages or storage (DESIGN.md L7).
//
//	c, err := dispatch.New(dispatch.Options{Policy: policy})
//	...
//	var r dispatch.Result
//	c.Do(&dispatch.Attempt{Method: "POST", URL: u, Body: body, Timeout: time.Minute}, &r)
//	if r.Class == dispatch.OK && r.Status/100 == 2 { ... }
//
// # One attempt
//
// Do sends exactly one request, follows no redirect, and reads at most
// Options.MaxResponse bytes of the answer, all under one deadline. There is one
// exception to "exactly one": a keep-alive connection that the server closed
// just as we reused it, without a byte of an answer, is replaced by a fresh one
// once, within the same attempt. Delivery is at least once, so a repeated POST
// is allowed there, and a failed attempt would cost the user a retry and its
// backoff for a race that is nobody's fault.
//
// # What of fasthttp is used
//
// A request is rendered here, into one buffer. An answer that is plain, as nearly all
// are, is taken apart here too (plain.go); what any other one means is for fasthttp's
// parser to say, from its first byte on. The connections are ours: fasthttp's client
// costs a third more for each attempt, and cannot give what a delivery needs:
//
//   - it does not tell whether a connection was reused or whether a byte of the
//     answer arrived, so the keep-alive race cannot be told from a lost POST;
//   - it writes a request to its end before it reads, so an early answer to a
//     large body is lost or waits for the timeout;
//   - it rewrites the request target (an empty query disappears);
//   - it cannot write and read in one turn with the runtime's poller (volley_unix.go);
//   - it keeps a 64 KiB read buffer per waiting attempt and a pool of them per
//     host, if 64 KiB of headers are to be accepted. Ours starts with 4 KiB from
//     one pool for all hosts and takes 64 KiB only when an answer needs it;
//   - it runs a sleeping goroutine per host. Ours has one janitor.
//
// # Addresses
//
// A Policy says which destinations may be called. It is asked twice: at publish
// on the URL (CheckURL, no DNS), and at each dial on every address that the name
// resolved to, and once more by net.Dialer.Control on the address the socket is
// about to connect to. A pooled connection belongs to a checked address. The
// server's own listeners are refused before any rule is looked at.
//
// # Hostile servers
//
// Whatever a server sends, an attempt ends by its one deadline, keeps at most
// MaxResponse of a body and MaxHeader of headers in 1,000 lines, and reads at most
// 256 KiB beyond each. Nothing is unpacked. A connection is used again only after a
// whole answer with nothing behind it, in the socket or in TLS's buffer. TestHostile
// and TestAnswers are the catalogue.
//
// # Concurrency
//
// Client and Policy are safe for concurrent use. A conn is owned by one exchange
// at a time or lies in its pool's idle list. Lock order: Client.mu, then
// registry.mu, then pool.mu; no I/O happens under any of them.
package dispatch
