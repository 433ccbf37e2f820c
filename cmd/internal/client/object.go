package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Object is a JSON object of the server's, decoded no further than it is looked at. A member that
// is missing, null or of another kind is the zero value of what is asked for.
type Object map[string]json.RawMessage

// Parse reads an object.
func Parse(raw json.RawMessage) (Object, error) {
	var o Object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("the server's answer is no object: %w", err)
	}
	return o, nil
}

// Text is a string's text, and the JSON of anything else.
func (o Object) Text(name string) string {
	raw := o[name]
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return ""
	}
	return b.String()
}

// Int is a whole number.
func (o Object) Int(name string) int64 {
	n, _ := strconv.ParseInt(string(o[name]), 10, 64)
	return n
}

func (o Object) Bool(name string) bool { return string(o[name]) == "true" }

// Time is unix milliseconds; 0 is none.
func (o Object) Time(name string) time.Time {
	if n := o.Int(name); n != 0 {
		return time.UnixMilli(n)
	}
	return time.Time{}
}

func (o Object) Object(name string) (in Object) {
	_ = json.Unmarshal(o[name], &in)
	return in
}

func (o Object) List(name string) (list []json.RawMessage) {
	_ = json.Unmarshal(o[name], &list)
	return list
}
