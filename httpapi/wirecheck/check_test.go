package wirecheck

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

const small = `{"openapi": "3.1.0", "info": {"title": "t", "version": "1"},
"components": {"schemas": {"Thing": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {"type": ["integer", "null"]}}}}},
"paths": {
 "/things/{id}": {
  "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
  "get": {
   "parameters": [{"name": "n", "in": "query", "schema": {"type": "integer", "maximum": 9}}],
   "responses": {"200": {"description": "d", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
    "default": {"description": "e", "content": {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}}}}},
  "put": {
   "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}}}},
   "responses": {"201": {"description": "d", "content": {"application/json": {"schema": {"type": "object", "maxProperties": 0}}}}}}},
 "/to/{url}": {
  "post": {
   "parameters": [{"name": "url", "in": "path", "required": true, "x-tidemill-rest": true, "schema": {"type": "string"}}],
   "requestBody": {"content": {"*/*": {}}},
   "responses": {"200": {"description": "d", "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}}}}}}}}}`

// TestCheck: the check finds what it is there to find.
func TestCheck(t *testing.T) {
	d, err := Load([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, method, target, body string
		status                     int
		answer, complaint          string
	}{
		{"good", "GET", "/things/a?n=3", "", 200, `{"id":"a","n":null}`, ""},
		{"any case", "GET", "/Things/A", "", 200, `{"id":"a"}`, ""},
		{"a member too many", "GET", "/things/a", "", 200, `{"id":"a","extra":1}`, "extra"},
		{"a member too few", "GET", "/things/a", "", 200, `{"n":1}`, "id"},
		{"a wrong type", "GET", "/things/a", "", 200, `{"id":7}`, "string"},
		{"a wrong parameter", "GET", "/things/a?n=10", "", 200, `{"id":"a"}`, "parameter"},
		{"a wrong parameter, refused", "GET", "/things/a?n=10", "", 400, `{"error":"n"}`, ""},
		{"an unknown status", "PUT", "/things/a", `{"n":1}`, 200, `{}`, "status is not supported"},
		{"a wrong body", "PUT", "/things/a", `{"n":"1"}`, 201, `{}`, "integer"},
		{"no body", "PUT", "/things/a", ``, 201, `{}`, "required"},
		{"an answer without a body", "PUT", "/things/a", `{"n":1}`, 201, ``, "without a body"},
		{"an unknown path", "GET", "/other", "", 200, `{}`, "no GET /other"},
		{"an unknown method", "PATCH", "/things/a", "", 200, `{}`, "no PATCH /things/a"},
		{"an error of another form", "GET", "/things/a", "", 404, `{"message":"no"}`, "not a JSON error"},
		{"an error that says nothing", "GET", "/nowhere", "", 404, `{"error":""}`, "not a JSON error"},
		{"405 without Allow", "POST", "/nowhere", "", 405, `{"error":"no"}`, "Allow"},
		{"a destination", "POST", "/to/https://h//a?n=x", "\x00", 200, `[{"id":"a"}]`, ""},
		{"behind a destination", "POST", "/to/https://h//a?n=x", "\x00", 200, `[{"id":"a","x":1}]`, "x"},
		{"no request at all", "", "", "", 400, `{"error":"no"}`, ""},
		{"no request, no error", "", "", "", 400, `no`, "not a JSON error"},
	}
	for _, tt := range tests {
		for range 2 { // what is wrong is wrong the second time too
			err := d.Check(&Exchange{
				Method: tt.method, Target: tt.target, Header: http.Header{}, Body: []byte(tt.body), Whole: true,
				Status: tt.status, Answer: http.Header{"Content-Type": {"application/json"}}, Content: []byte(tt.answer),
			})
			if (err == nil) != (tt.complaint == "") || err != nil && !strings.Contains(err.Error(), tt.complaint) {
				t.Errorf("%s: %v, want something of %q", tt.name, err, tt.complaint)
			}
		}
	}
}

// TestProxy: what goes through arrives, and is recorded as it was sent.
func TestProxy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		w.Write([]byte(r.Method + " " + r.RequestURI)) //nolint:errcheck // a test server
	}))
	defer server.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var r Recorder
	done := make(chan error)
	go func() { done <- r.Proxy(ln, server.Listener.Addr().String()) }()
	client := &http.Client{Transport: &http.Transport{}}
	for _, path := range []string{"/a//b?c", "/d"} {
		resp, err := client.Post("http://"+ln.Addr().String()+path, "a/b", strings.NewReader("body of "+path))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	client.CloseIdleConnections()
	ln.Close()
	<-done
	list := r.Exchanges()
	if len(list) != 2 {
		t.Fatalf("%d exchanges", len(list))
	}
	for i, path := range []string{"/a//b?c", "/d"} {
		e := list[i]
		if e.Method != "POST" || e.Target != path || string(e.Body) != "body of "+path || !e.Whole || e.Status != 202 || string(e.Content) != "POST "+path {
			t.Errorf("exchange %d is %+v", i, e)
		}
	}
}

// TestNotInTheBinary: the validator and what it needs are for tests alone, and so is what tests are
// written with. (go.yaml.in/yaml is cobra/doc's, which writes the manual.)
func TestNotInTheBinary(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../cmd/tidemill").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "github.com/tidemill/tidemill/httpapi\n") {
		t.Fatalf("that is not the list of the binary's packages: %.500s", out)
	}
	for _, no := range []string{
		"kin-openapi", "wirecheck", "jsonschema", "oasdiff/", "receivetest", "goleak", "testscript", "pgregory.net/rapid",
		"google/pprof", "errorfs", "net/http/httptest", "\ntesting\n",
	} {
		if strings.Contains(string(out), no) {
			t.Errorf("the binary has a package of %q", no)
		}
	}
}
