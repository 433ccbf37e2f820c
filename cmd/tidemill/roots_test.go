package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned returns a certificate for 127.0.0.1 in DER and its key.
func selfSigned(t testing.TB) (der []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tidemill test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"localhost"},
	}
	if der, err = x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key); err != nil {
		t.Fatal(err)
	}
	return der, key
}

func asPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestLoadRoots(t *testing.T) {
	der, key := selfSigned(t)
	other, _ := selfSigned(t)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, text, err string }{
		{"one", asPEM(der), ""},
		{"a bundle with comments", "# first\n" + asPEM(other) + "\n# second\n" + asPEM(der) + "\n# end\n", ""},
		{"empty", "", "0 of 0 blocks can be read"},
		{"DER", string(der), "0 of 0 blocks can be read"},
		{"cut off", asPEM(other) + asPEM(der)[:100], "1 of 2 blocks can be read"},
		{"a key", asPEM(der) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "block 2 is a PRIVATE KEY"},
		{"not a certificate", asPEM(der) + asPEM([]byte("x")), "block 2: x509"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			pool, err := loadRoots(path)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || !strings.Contains(err.Error(), "destinations.ca-file "+path) {
					t.Errorf("%v; want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: "localhost"}); err != nil {
				t.Error(err)
			}
			want, err := x509.SystemCertPool()
			if err != nil {
				t.Fatal(err)
			}
			want.AppendCertsFromPEM([]byte(tc.text))
			if !pool.Equal(want) {
				t.Error("not the system's authorities and those of the file")
			}
		})
	}
	if pool, err := loadRoots(""); pool != nil || err != nil {
		t.Errorf("no file: %v, %v", pool, err)
	}
	if _, err := loadRoots(filepath.Join(t.TempDir(), "none.pem")); err == nil || !strings.Contains(err.Error(), "destinations.ca-file") {
		t.Errorf("no such file: %v", err)
	}
}
