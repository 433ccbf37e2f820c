package commands

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a server that answers requests with one answer after the other, and notes them.
// "503 {...}" is an answer with another status.
type script struct {
	answers []string
	asked   []string
	headers []http.Header
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.RequestURI
	if len(body) > 0 {
		line += " " + string(body)
	}
	s.asked, s.headers = append(s.asked, line), append(s.headers, r.Header)
	if len(s.asked) > len(s.answers) {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	answer := s.answers[len(s.asked)-1]
	if status, err := strconv.Atoi(strings.SplitN(answer, " ", 2)[0]); err == nil && status > 99 {
		w.WriteHeader(status)
		answer = answer[4:]
	}
	_, _ = io.WriteString(w, answer)
}

// run runs a command line against s.
func (s *script) run(t *testing.T, newCommand func(environ []string) *cobra.Command, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	web := httptest.NewServer(s)
	defer web.Close()
	c := newCommand([]string{"QSTASH_URL=" + web.URL, "QSTASH_TOKEN=t"})
	c.SilenceErrors, c.SilenceUsage = true, true
	var out, told bytes.Buffer
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&told)
	err = c.ExecuteContext(context.WithoutCancel(t.Context()))
	return out.String(), told.String(), err
}

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("id-", i)
	}
	return list
}

// TestBulk: calls on many that take several requests, which a server makes of what is large or
// takes long, and one that fails in between.
func TestBulk(t *testing.T) {
	for _, c := range []struct {
		name    string
		command func([]string) *cobra.Command
		args    []string
		answers []string
		asked   []string // beginnings
		out     string
		err     string
		status  exit.Status
	}{
		{
			name: "cancel that runs out of time", command: NewMessages, args: []string{"cancel", "--label", "a", "--yes"},
			answers: []string{`{"cancelled":500,"more":true}`, `{"cancelled":20}`},
			asked:   []string{"DELETE /v2/messages?label=a", "DELETE /v2/messages?label=a"},
			out:     "520 messages canceled\n",
		},
		{
			name: "cancel that fails", command: NewMessages, args: []string{"cancel", "--all", "--yes"},
			answers: []string{`{"cancelled":500,"more":true}`, `503 {"error":"stopping"}`},
			asked:   []string{"DELETE /v2/messages", "DELETE /v2/messages"},
			err:     "500 were canceled, then: server says: stopping", status: exit.TempFail,
		},
		{
			name: "delete of many ids", command: NewDLQ, args: append([]string{"delete", "-o", "json"}, ids(1001)...),
			answers: []string{`{"deleted":999}`, `{"deleted":1}`},
			asked:   []string{`DELETE /v2/dlq {"dlqIds":["id-0","id-1",`, `DELETE /v2/dlq {"dlqIds":["id-1000"]}`},
			out:     "{\"deleted\":1000}\n",
		},
		{
			name: "delete by pages", command: NewDLQ, args: []string{"delete", "--status", "503", "--yes"},
			answers: []string{`{"deleted":100,"cursor":"77"}`, `{"deleted":3}`},
			asked:   []string{"DELETE /v2/dlq?count=100&responseStatus=503", "DELETE /v2/dlq?count=100&cursor=77&responseStatus=503"},
			out:     "103 dead letters deleted\n",
		},
		{
			name: "retry by pages", command: NewDLQ, args: []string{"retry", "--all", "--yes"},
			answers: []string{`{"cursor":"5","responses":[{"messageId":"msg_a"},{"messageId":"msg_b"}]}`, `{"cursor":"","responses":[]}`},
			asked:   []string{"POST /v2/dlq/retry?count=100", "POST /v2/dlq/retry?count=100&cursor=5"},
			out:     "MESSAGE\nmsg_a\nmsg_b\n",
		},
		{
			name: "retry that fails", command: NewDLQ, args: append([]string{"retry", "-o", "json"}, ids(101)...),
			answers: []string{`201 {"cursor":"","responses":[{"messageId":"msg_a"}]}`, `404 {"error":"not found"}`},
			asked:   []string{`POST /v2/dlq/retry {"dlqIds":["id-0",`, `POST /v2/dlq/retry {"dlqIds":["id-100"]}`},
			out:     "[{\"messageId\":\"msg_a\"}\n",
			err:     "1 were retried, then: server says: not found", status: exit.NoInput,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &script{answers: c.answers}
			out, told, err := s.run(t, c.command, c.args...)
			if out != c.out || exit.Of(err) != c.status || err != nil && err.Error() != c.err {
				t.Errorf("%q and %v (status %d), want %q and %q (%d); told %s", out, err, exit.Of(err), c.out, c.err, c.status, told)
			}
			if !slices.EqualFunc(s.asked, c.asked, strings.HasPrefix) {
				t.Errorf("asked for %.300q, want %q", s.asked, c.asked)
			}
		})
	}
}

// TestOptions: each flag of a publish has its header, and those that are not given have none.
func TestOptions(t *testing.T) {
	s := &script{answers: []string{`{"messageId":"msg_a"}`, `{"messageId":"msg_a"}`}}
	_, _, err := s.run(t, NewPublish, "http://h/", "-d", "x", "--method", "PUT", "--content-type", "text/plain", "--queue", "q",
		"--ordering-key", "o", "--delay", "5s", "--retries", "0", "--retry-delay", "1000", "--timeout", "9s", "--callback", "http://c/",
		"--failure-callback", "http://f/", "--dedup-id", "d", "--content-dedup", "--redact", "body", "--flow-key", "k", "--flow-mode", "sliding",
		"--flow-rate", "3", "--flow-parallelism", "2", "--flow-period", "1m", "--label", "a", "--label", "b", "-H", "X-A: 1", "-H", "x-a:2",
		"--not-before", "2026-03-29T08:00:00.001Z")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = s.run(t, NewPublish, "http://h/"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"Upstash-Method": "PUT", "Content-Type": "text/plain", "Upstash-Queue-Name": "q", "Tidemill-Ordering-Key": "o", "Upstash-Delay": "5s",
		"Upstash-Retries": "0", "Upstash-Retry-Delay": "1000", "Upstash-Timeout": "9s", "Upstash-Callback": "http://c/",
		"Upstash-Failure-Callback": "http://f/", "Upstash-Deduplication-Id": "d", "Upstash-Content-Based-Deduplication": "true",
		"Upstash-Redact-Fields": "body", "Upstash-Flow-Control-Key": "k", "Tidemill-Flow-Control-Mode": "sliding",
		"Upstash-Flow-Control-Value": "parallelism=2, rate=3, period=1m", "Upstash-Label": "a,b", "Upstash-Forward-X-A": "1, 2",
		"Upstash-Not-Before": "1774771201", // whole seconds, and never early
	}
	for i, h := range s.headers {
		for name, values := range h {
			if got := strings.Join(values, ", "); (strings.HasPrefix(name, "Upstash-") || strings.HasPrefix(name, "Tidemill-")) && (i == 1 || got != want[name]) {
				t.Errorf("request %d has %s: %s", i, name, got)
			}
		}
	}
	for name, value := range want {
		if got := strings.Join(s.headers[0].Values(name), ", "); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}
