package httpapi

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
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
