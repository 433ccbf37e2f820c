package sink

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// The types below are pflag.Values.

// share is a part of all requests, from 0 to 1. People write 2.5 %, or 0.025.
type share float64

func (v *share) Type() string   { return "percent" }
func (v *share) String() string { return strconv.FormatFloat(float64(*v)*100, 'g', -1, 64) + "%" }

func (v *share) Set(s string) error {
	text, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) { // NaN is neither
		return errors.New("want a share such as 10%, 0.5% or 0.1")
	}
	*v = share(f)
	return nil
}

// status is an HTTP status that ends an exchange.
type status int

func (v *status) Type() string   { return "status" }
func (v *status) String() string { return strconv.Itoa(int(*v)) }

func (v *status) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n < 200 || n > 599 {
		return errors.New("want a status from 200 to 599")
	}
	*v = status(n)
	return nil
}

// choice is one of a few words.
type choice struct {
	word  string
	among []string
}

func (v *choice) Type() string   { return strings.Join(v.among, "|") }
func (v *choice) String() string { return v.word }

func (v *choice) Set(s string) error {
	if !slices.Contains(v.among, s) {
		return fmt.Errorf("want one of %s", strings.Join(v.among, ", "))
	}
	v.word = s
	return nil
}

// headers are answered with. Each is given as "Name: value".
type headers [][2]string

func (v *headers) Type() string { return "'Name: value'" }

func (v *headers) String() string {
	var all []string
	for _, h := range *v {
		all = append(all, h[0]+": "+h[1])
	}
	return strings.Join(all, ", ")
}

func (v *headers) Set(s string) error {
	name, value, found := strings.Cut(s, ":")
	if !found || name == "" || strings.ContainsAny(s, "\r\n") || strings.ContainsAny(name, " \t") {
		return errors.New("want a header such as 'X-Name: value'")
	}
	*v = append(*v, [2]string{name, strings.TrimSpace(value)})
	return nil
}

func (v headers) apply(h *fasthttp.ResponseHeader) {
	for _, pair := range v {
		h.Set(pair[0], pair[1])
	}
}
