// Package httpapi is the wire: it reads requests, checks them, calls the engine
// and writes its answers in the shapes of QSTASH.md §1 to §9. It holds no state
// of a message and decides nothing about its life.
//
//	srv, err := httpapi.New(httpapi.Options{Engine: eng, CheckDestination: policy.CheckURL})
//	go srv.Serve(ln)
//	...
//	srv.Shutdown(ctx)
//
// # The connection loop
//
// fasthttp writes the responses that are more than the usual one (plain.go), and its
// RequestCtx is what a Fallback handler gets (RequestCtx.Init2 exists for that). The loop
// and the parser of heads are ours (conn.go, head.go): a head is read once, as strictly as
// it has to be, where fasthttp's reading needed a second one behind it; and
// fasthttp.Server offers no hook where these can
// be had: it reserves a declared body, or waits for its first 8 KiB, before a
// handler runs; it answers 100 Continue before it; it waits for a timeout on bare
// line feeds; its buffer of the largest head is paid by every connection; and it
// closes at once on a refused upload, whose sender then sees a reset in place of
// the answer. In the order of one request:
//
//  1. The head is collected, in a buffer that grows with what has arrived.
//  2. parse refuses what two parsers may read differently (RELIABILITY.md P43): see the
//     table in head.go.
//  3. The route and the token are checked, from the head alone (P42).
//  4. Only then the body is read, into memory that grows with what has arrived,
//     within the limit of the route and Options.InflightBytes for all together.
//  5. The handler runs. Everything it passes to the engine may alias the
//     connection's buffers; the engine keeps nothing (engine.Publish).
//
// A connection whose request was not read to its end is never used for another.
//
// # Overload
//
// Everything a client can make us hold has a bound: the head (HeaderMax), bodies and
// the elements of batches (InflightBytes), connections (Concurrency, MaxConnsPerIP),
// and the time for each (ReadTimeout, IdleTimeout, WriteTimeout). What is beyond a
// bound is refused before anything is stored, with 429, 503 or 413 and, where it helps
// to come back, a Retry-After; nobody waits in a line. At the limit of connections a new
// one takes the place of one that is silent, so that silence keeps nobody out.
//
// # Secrets
//
// A token lives in the buffers of its connection and nowhere else: it is not in a log
// line, an error, a stored message or a forwarded query (P45). Logs name the route
// and a request id, never the target.
package httpapi
