package dispatch

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// A testCA signs certificates for tests.
type testCA struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	Pool *x509.CertPool
}

func newTestCA(t testing.TB) *testCA {
	t.Helper()
	ca := &testCA{t: t, Pool: x509.NewCertPool()}
	ca.key = newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.cert = ca.sign(tmpl, tmpl, &ca.key.PublicKey)
	ca.Pool.AddCert(ca.cert)
	return ca
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (ca *testCA) sign(tmpl, parent *x509.Certificate, pub *ecdsa.PublicKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return cert
}

// leaf returns a server certificate for names and 127.0.0.1.
func (ca *testCA) leaf(expires time.Time, names ...string) tls.Certificate {
	key := newKey(ca.t)
	cert := ca.sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: expires, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca.cert, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// newTLSServer runs script over TLS and reports what each handshake asked for.
func newTLSServer(t testing.TB, cfg *tls.Config, script func(c *rawConn)) (*rawServer, <-chan tls.ConnectionState) {
	states := make(chan tls.ConnectionState, 16)
	return newRawServer(t, func(c *rawConn) {
		tc := tls.Server(c.Conn, cfg)
		if tc.Handshake() != nil {
			return
		}
		select {
		case states <- tc.ConnectionState():
		default:
		}
		defer tc.Close()
		script(&rawConn{tc, c.s, bufio.NewReader(tc), c.n})
	}), states
}

func TestTLS(t *testing.T) {
	ca := newTestCA(t)
	s, states := newTLSServer(t, &tls.Config{Certificates: []tls.Certificate{ca.leaf(time.Now().Add(time.Hour), "good.example")}}, serveOK)
	r := &fakeResolver{answers: map[string][]string{"good.example": {"127.0.0.1"}, "bad.example": {"127.0.0.1"}}}
	c := newClient(t, Options{RootCAs: ca.Pool, Resolver: r})
	good := "https://Good.Example:" + portOf(s)
	for i := range 3 {
		res := do(t, c, Attempt{URL: good})
		res.want(t, OK, 200, "")
		if res.Timing.Reused != (i > 0) || (res.Timing.TLS > 0) != (i == 0) {
			t.Errorf("attempt %d: %+v", i, res.Timing)
		}
	}
	if st := <-states; st.ServerName != "good.example" || st.NegotiatedProtocol != "" || st.Version < tls.VersionTLS12 {
		t.Errorf("handshake %+v", st)
	}
	do(t, c, Attempt{URL: good, Body: make([]byte, 1<<20)}).want(t, OK, 200, "")
	do(t, c, Attempt{URL: "https://127.0.0.1:" + portOf(s)}).want(t, OK, 200, "")
	do(t, c, Attempt{URL: "https://bad.example:" + portOf(s)}).want(t, TLS, 0, "TLS with bad.example: certificate is not valid for this name")
	do(t, newClient(t, Options{Resolver: r}), Attempt{URL: good}).want(t, TLS, 0, "unknown authority")
	if n := c.Stats(); n.Dials != 3 || n.Open != 2 {
		t.Errorf("stats %+v", n)
	}
}

func TestBadTLS(t *testing.T) {
	ca := newTestCA(t)
	valid := []tls.Certificate{ca.leaf(time.Now().Add(time.Hour), "good.example")}
	for _, tc := range []struct {
		name string
		cfg  *tls.Config
		err  string
	}{
		{"expired", &tls.Config{Certificates: []tls.Certificate{ca.leaf(time.Now().Add(-time.Hour), "good.example")}}, "expired"},
		{"self-signed", &tls.Config{Certificates: []tls.Certificate{newTestCA(t).leaf(time.Now().Add(time.Hour), "good.example")}}, "unknown authority"},
		{"TLS 1.0", &tls.Config{Certificates: valid, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "protocol version not supported"},
		// Go's own server makes an exception for h2, so another name plays its part.
		{"HTTP/2 only", &tls.Config{Certificates: valid, NextProtos: []string{"only-h2"}}, "no application protocol"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := newTLSServer(t, tc.cfg, serveOK)
			c := newClient(t, Options{RootCAs: ca.Pool})
			res := do(t, c, Attempt{URL: "https" + strings.TrimPrefix(s.URL, "http")})
			res.want(t, TLS, 0, tc.err)
			if s.reqs.Load() != 0 || c.Stats().Open != 0 {
				t.Errorf("a request was sent, or a connection left: %+v", c.Stats())
			}
		})
	}
	t.Run("no TLS there", func(t *testing.T) {
		s := newRawServer(t, func(c *rawConn) { c.answer("HTTP/1.1 400 x\r\n\r\n"); c.hold() })
		do(t, newClient(t, Options{}), Attempt{URL: "https" + s.URL[4:]}).want(t, TLS, 0, "does not speak TLS")
	})
	t.Run("closes", func(t *testing.T) {
		s := newRawServer(t, func(c *rawConn) { _, _ = c.br.ReadByte() })
		do(t, newClient(t, Options{}), Attempt{URL: "https" + s.URL[4:]}).want(t, TLS, 0, "connection closed during the handshake")
	})
	t.Run("silent", func(t *testing.T) {
		s := newRawServer(t, (*rawConn).hold)
		res := do(t, newClient(t, Options{ConnectTimeout: 100 * time.Millisecond}), Attempt{URL: "https" + s.URL[4:]})
		res.want(t, Timeout, 0, "timeout after 100ms in the TLS handshake")
	})
}

// TestTLSStale: the server's close_notify on a kept connection is noticed.
func TestTLSStale(t *testing.T) {
	ca := newTestCA(t)
	gone := make(chan struct{}, 4)
	s, _ := newTLSServer(t, &tls.Config{Certificates: []tls.Certificate{ca.leaf(time.Now().Add(time.Hour))}}, func(c *rawConn) {
		c.request()
		c.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
		_ = c.Close()
		gone <- struct{}{}
	})
	c := newClient(t, Options{RootCAs: ca.Pool})
	for range 3 {
		res := do(t, c, Attempt{URL: "https" + s.URL[4:]})
		res.want(t, OK, 200, "")
		<-gone
	}
	if n := s.reqs.Load(); n != 3 {
		t.Errorf("%d requests", n)
	}
}
