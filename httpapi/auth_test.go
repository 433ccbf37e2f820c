package httpapi

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// TestTokensOfOneConnection: what a connection showed before has no part in what a request
// of it may do, and a token that was revoked is not good for one more.
func TestTokensOfOneConnection(t *testing.T) {
	addr, eng := startEngine(t, nil, nil)
	secret := func(access engine.Access) (string, engine.TokenInfo) {
		s, info, err := eng.CreateToken(&engine.TokenSpec{User: 1, Access: access})
		if err != nil {
			t.Fatal(err)
		}
		return s, info
	}
	full, first := secret(engine.AccessFull)
	read, _ := secret(engine.AccessRead)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a dead connection fails the reads
	br := bufio.NewReader(c)
	ask := func(token string, want int) {
		t.Helper()
		raw := strings.ReplaceAll(request("GET /v2/keys"), goodToken, token)
		if _, err := io.WriteString(c, raw); err != nil {
			t.Fatal(err)
		}
		if a := readAnswer(t, br, "GET"); a.StatusCode != want {
			t.Errorf("%q: %d %s, want %d", token, a.StatusCode, a.body, want)
		}
	}
	for range 3 {
		ask(full, 200)
		ask(full, 200)
		ask(read, 403)
		ask(full, 200)
		for _, wrong := range []string{full[:len(full)-1], full + "x", strings.Repeat("x", len(full)), strings.Repeat(full, 3), "", "x"} {
			ask(wrong, 401)
		}
	}
	ask(full, 200)
	if err := eng.RevokeToken(first.ID); err != nil {
		t.Fatal(err)
	}
	ask(full, 401)
	ask(read, 403)
}
