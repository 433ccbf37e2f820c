package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/httpapi/wirecheck"
)

// checkedURL is the URL of a proxy before p. check, called when the clients are gone,
// holds all that went through it against the document that p itself serves, and returns
// how many exchanges that were.
func checkedURL(t *testing.T, p *process) (url string, check func() int) {
	t.Helper()
	doc := servedDocument(t, p)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := new(wirecheck.Recorder)
	done := make(chan error, 1)
	go func() { done <- r.Proxy(ln, strings.TrimPrefix(p.url(), "http://")) }()
	return "http://" + ln.Addr().String(), func() int {
		t.Helper()
		ln.Close()
		<-done
		list := r.Exchanges()
		for i := range list {
			e := &list[i]
			if strings.HasPrefix(e.Target, "/dev/") || strings.HasPrefix(e.Target, "/ui") {
				continue // the receiver of dev is none of the API, nor are the dashboard's files
			}
			if err := doc.Check(e); err != nil {
				t.Errorf("%s %.100s: %d %.300s\nis not what the document says: %v", e.Method, e.Target, e.Status, e.Content, err)
			}
		}
		return len(list)
	}
}

func servedDocument(t *testing.T, p *process) *wirecheck.Document {
	t.Helper()
	resp, err := http.Get(p.url() + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := wirecheck.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
