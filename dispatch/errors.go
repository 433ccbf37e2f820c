package dispatch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// ErrClosed is what Result.Err wraps after Close.
var ErrClosed = errors.New("dispatch: client is closed")

// maxErrorText bounds Result.Err: it is stored with the message, and some of it
// (certificate names) is chosen by the other side.
const maxErrorText = 240

// A failure is an attempt's error: its class, the text for the message's owner,
// and what happened underneath for errors.Is and errors.As.
type failure struct {
	class Class
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

func fail(class Class, cause error, format string, args ...any) *failure {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText-3], "") + "..."
	}
	return &failure{class, text, cause}
}

// failTimeout makes every timeout answer to os.ErrDeadlineExceeded.
func failTimeout(after time.Duration, doing string) *failure {
	return fail(Timeout, os.ErrDeadlineExceeded, "timeout after %s %s", after, doing)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// isClosed is true for the errors of a connection that the other side ended.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNABORTED)
}

// lookupFailure hides the resolver's address, which net.DNSError prints.
func lookupFailure(host string, err error) *failure {
	var dns *net.DNSError
	switch {
	case exhausted(err):
		return failExhausted(err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fail(Resolve, err, "lookup %s: no such host", host)
	case isTimeout(err):
		return fail(Resolve, err, "lookup %s: no answer in time", host)
	}
	return fail(Resolve, err, "lookup %s: temporary failure in name resolution", host)
}

// exhausted is true if this machine, and not the destination, had no file descriptor
// or no memory for a socket. net.DNSError keeps the text of its cause alone.
func exhausted(err error) bool {
	var dns *net.DNSError
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) || errors.As(err, &dns) && strings.Contains(dns.Err, e.Error()) {
			return true
		}
	}
	return false
}

func failExhausted(err error) *failure {
	return fail(Busy, err, "the server has no file descriptor or memory for a connection")
}

// dialFailure says only which address was dialled and what the system answered.
func dialFailure(addr string, err error) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return fail(Refused, refused, "%s", refused.Reason)
	}
	var errno syscall.Errno
	switch {
	case exhausted(err):
		return failExhausted(err)
	case errors.As(err, &errno):
		return fail(Connect, err, "dial tcp %s: %s", addr, errno.Error())
	case isTimeout(err):
		return fail(Connect, err, "dial tcp %s: no answer in time", addr)
	}
	return fail(Connect, err, "dial tcp %s: failed", addr)
}

func tlsFailure(host string, err error) *failure {
	var (
		cert   *tls.CertificateVerificationError
		alert  tls.AlertError
		record tls.RecordHeaderError
		name   x509.HostnameError
	)
	switch {
	case errors.As(err, &name):
		return fail(TLS, err, "TLS with %s: certificate is not valid for this name", host)
	case errors.As(err, &cert):
		return fail(TLS, err, "TLS with %s: %s", host, strings.TrimPrefix(cert.Error(), "tls: "))
	case errors.As(err, &record):
		return fail(TLS, err, "TLS with %s: the server does not speak TLS", host)
	case errors.As(err, &alert):
		return fail(TLS, err, "TLS with %s: %s", host, strings.TrimPrefix(alert.Error(), "tls: "))
	case isClosed(err):
		return fail(TLS, err, "TLS with %s: connection closed during the handshake", host)
	}
	return fail(TLS, err, "TLS with %s: %s", host, strings.TrimPrefix(err.Error(), "tls: "))
}

// protocolFailure turns what fasthttp's parser says into one short line. With
// SecureErrorLogMessage its texts hold none of the answer's content.
func protocolFailure(err error, maxHeader int) *failure {
	var small *fasthttp.ErrSmallBuffer
	if errors.As(err, &small) {
		return fail(TooLarge, err, "response headers are larger than %d bytes", maxHeader)
	}
	text := strings.TrimPrefix(err.Error(), "error when reading response headers: ")
	text, _, _ = strings.Cut(text, ": buffer size=")
	return fail(Protocol, err, "malformed response: %s", strings.TrimPrefix(text, "fasthttp: "))
}
