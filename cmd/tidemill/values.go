package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/engine/delay"
)

// The types below are pflag.Values: they read what people write and print it
// back in the same form. A value that does not parse leaves the old one.
// Durations are read as in a publish request, so there is one grammar to know.

type textValue string

func (v *textValue) String() string     { return string(*v) }
func (v *textValue) Type() string       { return "text" }
func (v *textValue) Set(s string) error { *v = textValue(s); return nil }

// countValue is a whole number, zero or more.
type countValue int

func (v *countValue) String() string { return strconv.Itoa(int(*v)) }
func (v *countValue) Type() string   { return "number" }

func (v *countValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return errors.New("want a whole number, zero or more")
	}
	*v = countValue(n)
	return nil
}

type flagValue bool

func (v *flagValue) String() string { return strconv.FormatBool(bool(*v)) }
func (v *flagValue) Type() string   { return "bool" }

// IsBoolFlag lets the flag stand alone, meaning true.
func (v *flagValue) IsBoolFlag() bool { return true }

func (v *flagValue) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("want true or false")
	}
	*v = flagValue(b)
	return nil
}

// listValue grows with each Set; commas separate, so that one variable can hold
// several.
type listValue []string

func (v *listValue) String() string { return strings.Join(*v, ",") }
func (v *listValue) Type() string   { return "list" }

func (v *listValue) Set(s string) error {
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*v = append(*v, item)
		}
	}
	return nil
}

// fsyncValue is log.fsync: zero means always, else the interval.
type fsyncValue time.Duration

func (v *fsyncValue) Type() string { return "always|interval=DURATION" }

func (v *fsyncValue) String() string {
	if *v == 0 {
		return "always"
	}
	return "interval=" + delay.Format(time.Duration(*v))
}

func (v *fsyncValue) Set(s string) error {
	if s == "always" {
		*v = 0
		return nil
	}
	text, ok := strings.CutPrefix(s, "interval=")
	if !ok {
		return errors.New("want always, or interval=DURATION such as interval=50ms")
	}
	d, err := delay.ParseDuration(text)
	if err != nil {
		return err
	}
	if d == 0 {
		return errors.New("an interval must be above zero: want always, or interval=50ms")
	}
	*v = fsyncValue(d)
	return nil
}

type durationValue time.Duration

func (v *durationValue) String() string { return delay.Format(time.Duration(*v)) }
func (v *durationValue) Type() string   { return "duration" }

func (v *durationValue) Set(s string) error {
	d, err := delay.ParseDuration(s)
	if err != nil {
		return err
	}
	*v = durationValue(d)
	return nil
}

// keepValue is how long something is kept. Zero is one of its values, and says what its
// setting says.
type keepValue time.Duration

func (v *keepValue) String() string     { return (*durationValue)(v).String() }
func (v *keepValue) Type() string       { return "duration" }
func (v *keepValue) Set(s string) error { return (*durationValue)(v).Set(s) }

// sizeValue is a number of bytes.
type sizeValue int64

func (v *sizeValue) String() string { return formatSize(int64(*v)) }
func (v *sizeValue) Type() string   { return "size" }

func (v *sizeValue) Set(s string) error {
	n, err := parseSize(s)
	if err != nil {
		return err
	}
	*v = sizeValue(n)
	return nil
}

// rateValue is a number of bytes per second. Zero is one of its values: off.
type rateValue int64

func (v *rateValue) String() string     { return (*sizeValue)(v).String() }
func (v *rateValue) Type() string       { return "size" }
func (v *rateValue) Set(s string) error { return (*sizeValue)(v).Set(s) }

// minFreeValue is data.min-free: a size, where 0 is no floor, or auto. What it
// holds is as in engine.Options: auto is 0 and no floor negative.
type minFreeValue int64

func (v *minFreeValue) Type() string { return "auto|size" }

func (v *minFreeValue) String() string {
	if *v == 0 {
		return "auto"
	}
	return formatSize(max(0, int64(*v)))
}

func (v *minFreeValue) Set(s string) error {
	if s == "auto" {
		*v = 0
		return nil
	}
	n, err := parseSize(s)
	if err != nil {
		return fmt.Errorf("want auto, or %w", err)
	}
	if n == 0 {
		n = -1
	}
	*v = minFreeValue(n)
	return nil
}

// isZero is true for a number, a size or a duration of zero.
func isZero(v pflag.Value) bool {
	switch v := v.(type) {
	case *countValue:
		return *v == 0
	case *sizeValue:
		return *v == 0
	case *durationValue:
		return *v == 0
	}
	return false
}

// sizeUnits are in the order in which formatSize tries them. A kB of 1000 bytes
// is not among them: one letter's difference should not change a limit.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}, {"B", 1}}

var errSize = errors.New("want a size such as 512KiB, 64MiB or 1GiB, or a number of bytes")

func parseSize(s string) (int64, error) {
	digits, unit := s, int64(1)
	for _, u := range sizeUnits {
		if head, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = strings.TrimSpace(head), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil {
		return 0, errSize
	}
	if int64(n) > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return int64(n) * unit, nil
}

func formatSize(n int64) string {
	for _, u := range sizeUnits {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0"
}
