package wirecheck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Check compares an exchange with the document.
func (d *Document) Check(e *Exchange) error {
	if e.Status >= 400 {
		if err := checkError(e); err != nil {
			return err
		}
	}
	path, _, _ := strings.Cut(e.Target, "?")
	if e.Method == http.MethodOptions {
		return checkOptions(e)
	}
	method := e.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	op, params := d.Find(method, path)
	switch {
	case op == nil && e.Status < 400:
		return fmt.Errorf("the document has no %s %.200s, which was answered with %d", method, path, e.Status)
	case op == nil:
		return nil
	}
	shape := d.right.shape(op, e)
	if d.right.has(shape) {
		return nil
	}
	if err := d.check(op, params, e); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	d.right.add(shape)
	return nil
}

// checkError holds the one form of errors against an answer (QSTASH.md §1.3).
func checkError(e *Exchange) error {
	if e.Status == http.StatusMethodNotAllowed && e.Answer.Get("Allow") == "" {
		return errors.New("405 without Allow")
	}
	if ct := e.Answer.Get("Content-Type"); ct != "application/json" {
		return fmt.Errorf("an error of type %q", ct)
	}
	if e.Method == http.MethodHead {
		return nil
	}
	var body map[string]string
	if err := json.Unmarshal(e.Content, &body); err != nil || len(body) != 1 || body["error"] == "" {
		return fmt.Errorf("not a JSON error: %v", err)
	}
	return nil
}

func checkOptions(e *Exchange) error {
	if e.Status < 400 && (e.Status != http.StatusNoContent || len(e.Content) > 0 || e.Answer.Get("Allow") == "") {
		return fmt.Errorf("OPTIONS answered with %d, Allow %q and %d bytes", e.Status, e.Answer.Get("Allow"), len(e.Content))
	}
	return nil
}

func (d *Document) check(op *Operation, params map[string]string, e *Exchange) error {
	if e.Status < 300 && e.Method != http.MethodHead && len(e.Content) == 0 && !op.Streams() {
		return errors.New("a success without a body, which old clients cannot read")
	}
	in, err := d.input(op, params, e)
	if err != nil {
		return err
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: e.Status, Header: e.Answer,
		Body: io.NopCloser(bytes.NewReader(e.Content)), Options: in.Options,
	}
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	if e.Status >= 300 || !e.Whole || bytes.Contains(e.Content, []byte(`{"error":`)) { // of a batch some may be refused
		return nil
	}
	if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
		return fmt.Errorf("the request: %w", err)
	}
	return nil
}

// input builds the request as the validator takes it. What a target is, it need not
// know: a destination can be what net/url refuses.
func (d *Document) input(op *Operation, params map[string]string, e *Exchange) (*openapi3filter.RequestValidationInput, error) {
	_, query, _ := strings.Cut(e.Target, "?")
	pairs := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		_, value, _ := strings.Cut(pair, "=")
		return value == ""
	})
	header := e.Header.Clone()
	for name, values := range header {
		if strings.Join(values, "") == "" {
			delete(header, name) // an empty value is an absent one
		}
	}
	if op.takesJSON() {
		header.Set("Content-Type", "application/json") // the server does not look at it
	}
	r := &http.Request{
		Method: e.Method, URL: &url.URL{Path: "/", RawQuery: strings.Join(pairs, "&")}, Header: header,
		Body: io.NopCloser(bytes.NewReader(e.Body)), ContentLength: int64(len(e.Body)),
	}
	return &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params,
		Route: &routers.Route{Spec: d.spec, Path: op.Path, PathItem: op.item, Method: op.Method, Operation: op.spec},
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, SkipSettingDefaults: true, MultiError: true,
			ExcludeRequestQueryParams: op.takes(anything), ExcludeRequestBody: op.takes(anything), // the destination's
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}, nil
}
