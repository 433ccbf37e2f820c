package commands

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// options are the flags for the options of a message (QSTASH.md §3.4). Their values are the
// server's to judge: it names the header that is wrong.
type options struct {
	c         *cobra.Command
	prefix    string // of the flags
	texts     []textOption
	notBefore client.Moment
	labels    texts
	headers   texts // forwarded: "Name: value", or @ and a file of such lines
	once      bool  // --content-dedup
	flow      flowOption
}

// textOption is a flag whose value goes into a header as it is.
type textOption struct {
	flag, header, usage string
	retry               bool // a dead letter's retry takes it too
	value               string
}

// flowOption are the flags that make one header.
type flowOption struct {
	rate, parallelism int
	period            string
}

var textOptions = []textOption{
	{flag: "method", header: "Upstash-Method", usage: "method of the delivery (default POST)"},
	{flag: "content-type", header: "Content-Type", usage: "content type of the body"},
	{flag: "queue", header: "Upstash-Queue-Name", usage: "put it into this queue"},
	{flag: "ordering-key", header: "Tidemill-Ordering-Key", usage: "in its queue, deliver in order with those of the same key only"},
	{flag: "delay", header: "Upstash-Delay", usage: "deliver after this time, such as 10s or 1d2h", retry: true},
	{flag: "retries", header: "Upstash-Retries", usage: "how often to try again after a failure (default 3)", retry: true},
	{flag: "retry-delay", header: "Upstash-Retry-Delay", usage: "milliseconds before a retry, as an expression such as \"1000 * pow(2, retried)\"", retry: true},
	{flag: "timeout", header: "Upstash-Timeout", usage: "time for one attempt, such as 30s", retry: true},
	{flag: "callback", header: "Upstash-Callback", usage: "URL that is told the outcome of every attempt", retry: true},
	{flag: "failure-callback", header: "Upstash-Failure-Callback", usage: "URL that is told when no attempt is left", retry: true},
	{flag: "dedup-id", header: "Upstash-Deduplication-Id", usage: "a second message with this id is not published"},
	{flag: "redact", header: "Upstash-Redact-Fields", usage: "what views of it hide: body, headers or headers[Name], separated by commas"},
	{flag: "flow-key", header: "Upstash-Flow-Control-Key", usage: "flow-control key", retry: true},
	{flag: "flow-mode", header: "Tidemill-Flow-Control-Mode", usage: "fixed or sliding: how the rate counts", retry: true},
}

// bindOptions defines the flags for a new message.
func bindOptions(c *cobra.Command) *options {
	o := &options{c: c, texts: slices.Clone(textOptions)}
	o.bind()
	f := c.Flags()
	f.VarP(&o.headers, "header", "H", "\"Name: value\" for the destination, or @FILE with such lines, for what is secret; repeatable")
	f.BoolVar(&o.once, "content-dedup", false, "a second message with the same destination, body and headers is not published")
	return o
}

// bindRetryOptions defines the flags for what a retry of a dead letter may change of it. They begin
// with set-, beside filters of the same name.
func bindRetryOptions(c *cobra.Command) *options {
	o := &options{c: c, prefix: "set-"}
	for _, t := range textOptions {
		if t.retry {
			o.texts = append(o.texts, t)
		}
	}
	o.bind()
	return o
}

// bind defines the flags that every message has.
func (o *options) bind() {
	f := o.c.Flags()
	for i := range o.texts {
		t := &o.texts[i]
		f.StringVar(&t.value, o.prefix+t.flag, "", t.usage)
	}
	o.notBefore.Future = true
	f.Var(&o.notBefore, o.prefix+"not-before", "deliver at this time, such as 2026-03-29T08:00:00Z")
	f.IntVar(&o.flow.rate, o.prefix+"flow-rate", 0, "attempts of the flow-control key in a period")
	f.IntVar(&o.flow.parallelism, o.prefix+"flow-parallelism", 0, "attempts of the flow-control key at one time")
	f.StringVar(&o.flow.period, o.prefix+"flow-period", "", "the period of the rate (default 1s)")
	f.Var(&o.labels, o.prefix+"label", "label, to find it by; repeatable")
}

// set puts what the flags say into h. A value that is empty is refused: the option would be left
// out, where the message was meant to have it.
func (o *options) set(h http.Header) error {
	for i := range o.texts {
		t := &o.texts[i]
		switch {
		case t.value != "":
			h.Set(t.header, t.value)
		case o.c.Flags().Changed(o.prefix + t.flag):
			return named("--"+o.prefix+t.flag, []string{""})
		}
	}
	if err := named("--"+o.prefix+"label", o.labels); err != nil {
		return err
	}
	if len(o.labels) > 0 {
		h.Set("Upstash-Label", strings.Join(o.labels, ","))
	}
	if o.once {
		h.Set("Upstash-Content-Based-Deduplication", "true")
	}
	if !o.notBefore.IsZero() { // whole seconds, and never early
		h.Set("Upstash-Not-Before", strconv.FormatInt(o.notBefore.Add(time.Second-1).Unix(), 10))
	}
	if v := o.flow.value(); v != "" {
		h.Set("Upstash-Flow-Control-Value", v)
	}
	return o.forward(h)
}

func (o *flowOption) value() string {
	var parts []string
	if o.parallelism != 0 {
		parts = append(parts, fmt.Sprintf("parallelism=%d", o.parallelism))
	}
	if o.rate != 0 {
		parts = append(parts, fmt.Sprintf("rate=%d", o.rate))
	}
	if o.period != "" {
		parts = append(parts, "period="+o.period)
	}
	return strings.Join(parts, ", ")
}

// forward adds the headers for the destination.
func (o *options) forward(h http.Header) error {
	for _, arg := range o.headers {
		lines, where := []string{arg}, "--header" // its text may be a secret
		if path, ok := strings.CutPrefix(arg, "@"); ok {
			b, err := os.ReadFile(path)
			if err != nil {
				return exit.With(exit.NoInput, err)
			}
			lines, where = strings.Split(strings.TrimSpace(string(b)), "\n"), path
		}
		for i, line := range lines {
			if !addHeader(h, line) {
				return usage("%s: line %d is no header: want \"Name: value\"", where, i+1)
			}
		}
	}
	return nil
}

// addHeader adds one line, and says whether it is a header. A content type is the body's own: as a
// forwarded one it would be ignored (QSTASH.md §3.4).
func addHeader(h http.Header, line string) bool {
	name, value, ok := strings.Cut(line, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case !ok || name == "":
		return false
	case strings.EqualFold(name, "Content-Type"):
		h.Set("Content-Type", value)
	default:
		h.Add("Upstash-Forward-"+name, value)
	}
	return true
}
