package dispatch

import "time"

// A Header is one header line. The name goes on the wire exactly as it stands
// here; repeated names are sent as repeated lines, in order.
type Header struct{ Name, Value string }

// An Attempt is one request to make. Do only reads it, and keeps nothing of it
// after returning.
type Attempt struct {
	// Method is an HTTP method, sent as it stands.
	Method string
	// URL is absolute, http or https. The bytes after the authority become the
	// request target unchanged: no path is cleaned, nothing is decoded.
	URL string
	// Header is sent in order between Host and Content-Length, which Do adds.
	// A name for which ForbiddenHeader is true fails the attempt.
	Header []Header
	// Body is sent with every method if it is not empty. Do does not keep it.
	Body []byte
	// Timeout bounds everything: look-up, connecting, TLS, writing, and reading
	// the answer to its end. Default: Options.Timeout. An attempt may end late by an
	// eighth of it, at most by 250 ms.
	Timeout time.Duration
}

// A Result is the outcome of one attempt. Do resets it first and reuses the
// capacity of its slices; after Do it belongs to the caller.
type Result struct {
	// Status is the status of the answer, 100 to 999; 0: no whole answer came.
	Status int
	// Header holds the answer's headers without trailers, names in canonical
	// form. The order among different names is not the order on the wire.
	Header []Header
	// Body is as it came over the wire (never decompressed), cut at
	// Options.MaxResponse, in which case Truncated is set.
	Body      []byte
	Truncated bool
	// Err is nil exactly if Class is OK. Its text is meant for the owner of the
	// message: it is short and names nothing internal.
	Err    error
	Class  Class
	Timing Timing
}

// reset clears r and keeps its slices' capacity.
func (r *Result) reset() {
	*r = Result{Header: r.Header[:0], Body: r.Body[:0]}
}

// Timing says where an attempt's time went. Parts that did not happen are 0.
type Timing struct {
	// DNS, Connect and TLS are the parts of establishing a connection; all 0 if
	// a kept connection was used.
	DNS, Connect, TLS time.Duration
	// FirstByte is from the start of the attempt to the first byte of the answer.
	FirstByte time.Duration
	// Total is the whole attempt.
	Total time.Duration
	// Reused: the answer came over a kept connection.
	Reused bool
}

// A Class sorts outcomes by what the caller can do about them.
type Class uint8

const (
	// OK: an answer came, whatever its status.
	OK Class = iota
	// Refused: the policy forbids the destination. Final; retrying cannot help.
	Refused
	// Resolve: the host name could not be looked up.
	Resolve
	// Connect: no connection could be made.
	Connect
	// TLS: the handshake or the certificate failed.
	TLS
	// Timeout: Attempt.Timeout or Options.ConnectTimeout ran out.
	Timeout
	// Closed: the connection ended before the whole answer had come.
	Closed
	// Protocol: the answer is not HTTP/1, or the attempt is not a valid request.
	Protocol
	// TooLarge: the answer's headers exceed Options.MaxHeader.
	TooLarge
	// Busy: Options.MaxConnsPerHost was reached, or this machine had no descriptor for
	// another connection. Nothing was sent, and it says nothing of the destination.
	Busy
	// Canceled: the client was closed.
	Canceled

	classCount
)

var classNames = [classCount]string{
	"ok", "refused", "resolve", "connect", "tls", "timeout", "closed",
	"protocol", "too-large", "busy", "canceled",
}

// String returns the class as one lower-case word, for metrics and logs.
func (c Class) String() string {
	if c < classCount {
		return classNames[c]
	}
	return "unknown"
}
