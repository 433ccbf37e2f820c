package httpapi

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/tidemill/tidemill/engine"
)

// TestSecretsStayInside sends tokens, good and wrong, in every place where one
// can stand, makes the server fail in every way it has, and looks for them in
// the answers, the log and what the engine was given (P45).
func TestSecretsStayInside(t *testing.T) {
	s := start(t, func(o *Options) {
		o.CheckDestination = func(url string) error {
			if strings.Contains(url, "refused") {
				return fmt.Errorf("endpoint %s is refused", url)
			}
			return nil
		}
		o.Fallback = func(*fasthttp.RequestCtx) { panic("fallback failpoint") }
	})
	const bearer, query = "Authorization: Bearer %s\r\n", "?qstash_token=%s&a=1"
	var raws []string
	for _, token := range []string{goodToken, badToken} {
		for _, path := range []string{
			"/v2/publish/http://h/p", "/v2/publish/http%3A%2F%2Fh%2Fp", "/v2/publish/http://refused/", "/v2/publish/nope", "/v2/publish/x://",
			"/v2/messages/msg_one", "/v2/messages/msg_strange", "/v2/messages/msg_panic", "/v2/dlq", "/v2/keys", "/v2/nothing", "/elsewhere", "/v2/batch",
			"/v2/enqueue/q/http://h/p", "/v2/enqueue/q/http://refused/", "/v2/queues", "/v2/queues/q/pause", "/v2/topics/g", "/v2/flowControl/k/pin",
			"/v1/publish", "/v1/queues/q", "/v1/queues/q/receive", "/v1/messages/msg_one/ack", "/v1/metrics",
			"/v2/schedules/http://h/p", "/v2/schedules", "/v2/schedules/one", "/v2/schedules/next?cron=x", "/v2/schedules/one/next",
		} {
			for _, method := range []string{"GET", "POST", "FOO"} {
				raws = append(raws,
					fmt.Sprintf(method+" "+path+" HTTP/1.1\r\nHost: t\r\nUpstash-Header-Forward: true\r\n"+bearer+"\r\n", token),
					fmt.Sprintf(method+" "+path+query+" HTTP/1.1\r\nHost: t\r\n\r\n", token),
					fmt.Sprintf(method+" "+path+query+" HTTP/1.1\r\nHost: t\r\nUpstash-Header-Forward: true\r\n"+bearer+"\r\n", token, goodToken),
					fmt.Sprintf(method+" "+path+strings.Replace(query, "qstash_token", "%%71stash_Token", 1)+" HTTP/1.1\r\nHost: t\r\n"+bearer+"\r\n", token, token))
			}
		}
		for _, broken := range []string{"Host: u\r\n", "X: \x00\r\n", "X\r\n", "Content-Length: x\r\n", " fold\r\n", "Transfer-Encoding: nope\r\n"} {
			raws = append(raws, fmt.Sprintf("POST /v2/publish/http://h/p HTTP/1.1\r\nHost: t\r\n"+bearer+broken+"\r\n", token))
		}
		raws = append(raws, fmt.Sprintf("POST /v2/publish/http://h/p"+query+"\r\n\r\n", token))
	}
	for _, raw := range raws {
		c := s.dial(t)
		io.WriteString(c, raw) //nolint:errcheck // whatever it answers is looked at
		c.(interface{ CloseWrite() error }).CloseWrite()
		all, _ := io.ReadAll(c)
		c.Close()
		lookForSecrets(t, "the answer to "+raw, string(all))
		if !strings.HasPrefix(string(all), "HTTP/1.1 ") {
			t.Errorf("no answer to %q", raw)
		}
	}
	lookForSecrets(t, "the log", s.log.String())
	got := s.eng.messages()
	if len(got) == 0 || !strings.Contains(s.log.String(), "failpoint") {
		t.Fatal("the test reached neither the engine nor a panic")
	}
	for _, p := range got {
		lookForSecrets(t, "a message", fmt.Sprintf("%+v", p))
	}
}

func lookForSecrets(t *testing.T, where, s string) {
	t.Helper()
	for _, secret := range []string{goodToken, badToken, "canary"} {
		if strings.Contains(s, secret) {
			t.Errorf("%s holds %s:\n%s", where, secret, s)
		}
	}
}

// TestMintedTokensAreToldOnce: what POST /v2/tokens and POST /v2/users answer stands
// nowhere else: in no list, error, dead letter, log line or export, and not on disk.
func TestMintedTokensAreToldOnce(t *testing.T) {
	log := new(lockedBuffer)
	addr, eng := startEngine(t, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), nil)
	s := realSite{addr}
	var user struct{ Token string }
	var token struct{ ID, Token string }
	s.want(t, requestBody("POST /v2/users", `{"name":"u"}`), 201, &user)
	s.want(t, requestBody("POST /v2/tokens", `{"user":3,"access":"publish"}`), 201, &token)
	var answers strings.Builder
	for _, secret := range []string{user.Token, token.Token} {
		if len(secret) < 40 {
			t.Fatalf("the token %q is short", secret)
		}
		for _, line := range []string{
			"POST /v2/publish/http://127.0.0.1:1/x?a=1&upstash-retries=0&", "GET /v2/keys?", "POST /v2/nothing?", "FOO /v2/keys?", "DELETE /v2/tokens/" + token.ID + "?",
		} {
			for _, raw := range []string{
				line + "qstash_token=" + secret + " HTTP/1.1\r\nHost: t\r\nUpstash-Header-Forward: true\r\n\r\n",
				line + " HTTP/1.1\r\nHost: t\r\nUpstash-Header-Forward: true\r\nAuthorization: Bearer " + secret + "\r\n\r\n",
			} {
				answers.WriteString(s.send(t, raw).body)
			}
		}
	}
	var dead []engine.DeadLetter
	for len(dead) < 4 {
		var err error
		if dead, _, err = eng.DeadLetters(engine.DeadLetterQuery{User: 3}); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprintf(&answers, "%+v", dead)
	for _, line := range []string{"GET /v2/tokens", "GET /v2/users", "GET /v2/tokens/" + token.ID, "DELETE /v2/tokens/" + token.ID} {
		answers.WriteString(s.body(t, request(line), 200))
	}
	if err := eng.Export(t.Context(), &answers, engine.ExportOptions{Secrets: true}); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{"an answer, a dead letter or the export": answers.String(), "the log lines": log.String()}
	root := filepath.Dir(t.TempDir()) // the engine's directory is in it
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the engine lives, and renames files
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if places[path] = string(b); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil || len(places) < 5 {
		t.Fatalf("%d places, %v", len(places), err)
	}
	for place, text := range places {
		for _, secret := range []string{user.Token, token.Token} {
			if strings.Contains(text, secret) {
				t.Errorf("a token stands in %s", place)
			}
		}
	}
}
