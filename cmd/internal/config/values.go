package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tidemill/tidemill/engine/delay"
)

// The types below are pflag.Values: they read what people write and print it
// back in the same form. A value that does not parse leaves the old one.
// Durations are read as in a publish request, so there is one grammar to know.

type TextValue string

func (v *TextValue) String() string     { return string(*v) }
func (v *TextValue) Type() string       { return "text" }
func (v *TextValue) Set(s string) error { *v = TextValue(s); return nil }

// CountValue is a whole number, zero or more.
type CountValue int

func (v *CountValue) String() string { return strconv.Itoa(int(*v)) }
func (v *CountValue) Type() string   { return "number" }

func (v *CountValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return errors.New("want a whole number, zero or more")
	}
	*v = CountValue(n)
	return nil
}

type FlagValue bool

func (v *FlagValue) String() string { return strconv.FormatBool(bool(*v)) }
func (v *FlagValue) Type() string   { return "bool" }

// IsBoolFlag lets the flag stand alone, meaning true.
func (v *FlagValue) IsBoolFlag() bool { return true }

func (v *FlagValue) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errors.New("want true or false")
	}
	*v = FlagValue(b)
	return nil
}

// ListValue grows with each Set; commas separate, so that one variable can hold
// several.
type ListValue []string

func (v *ListValue) String() string { return strings.Join(*v, ",") }
func (v *ListValue) Type() string   { return "list" }

func (v *ListValue) Set(s string) error {
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*v = append(*v, item)
		}
	}
	return nil
}

// choiceValue is one of a few words.
type choiceValue struct {
	text *string
	of   []string
}

// BindChoice defines a flag of c whose value is one of these words, and the first one by default. A
// shell completes them.
func BindChoice(c *cobra.Command, name, shorthand, usage string, of ...string) *string {
	text := of[0]
	c.Flags().VarP(&choiceValue{&text, of}, name, shorthand, usage)
	_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp))
	return &text
}

func (v *choiceValue) String() string { return *v.text }
func (v *choiceValue) Type() string   { return strings.Join(v.of, "|") }

func (v *choiceValue) Set(s string) error {
	if !slices.Contains(v.of, s) {
		return errors.New("want " + oneOf(v.of))
	}
	*v.text = s
	return nil
}

// oneOf is a list of words as a sentence has it: a, b or c.
func oneOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// FsyncValue is log.fsync: zero means always, else the interval.
type FsyncValue time.Duration

func (v *FsyncValue) Type() string { return "always|interval=DURATION" }

func (v *FsyncValue) String() string {
	if *v == 0 {
		return "always"
	}
	return "interval=" + delay.Format(time.Duration(*v))
}

func (v *FsyncValue) Set(s string) error {
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
	*v = FsyncValue(d)
	return nil
}

type DurationValue time.Duration

func (v *DurationValue) String() string { return delay.Format(time.Duration(*v)) }
func (v *DurationValue) Type() string   { return "duration" }

func (v *DurationValue) Set(s string) error {
	d, err := delay.ParseDuration(s)
	if err != nil {
		return err
	}
	*v = DurationValue(d)
	return nil
}

// KeepValue is how long something is kept. Zero is one of its values, and says what its
// setting says.
type KeepValue time.Duration

func (v *KeepValue) String() string     { return (*DurationValue)(v).String() }
func (v *KeepValue) Type() string       { return "duration" }
func (v *KeepValue) Set(s string) error { return (*DurationValue)(v).Set(s) }

// SizeValue is a number of bytes.
type SizeValue int64

func (v *SizeValue) String() string { return FormatSize(int64(*v)) }
func (v *SizeValue) Type() string   { return "size" }

func (v *SizeValue) Set(s string) error {
	n, err := ParseSize(s)
	if err != nil {
		return err
	}
	*v = SizeValue(n)
	return nil
}

// RateValue is a number of bytes per second. Zero is one of its values: off.
type RateValue int64

func (v *RateValue) String() string     { return (*SizeValue)(v).String() }
func (v *RateValue) Type() string       { return "size" }
func (v *RateValue) Set(s string) error { return (*SizeValue)(v).Set(s) }

// MinFreeValue is data.min-free: a size, where 0 is no floor, or auto. What it
// holds is as in engine.Options: auto is 0 and no floor negative.
type MinFreeValue int64

func (v *MinFreeValue) Type() string { return "auto|size" }

func (v *MinFreeValue) String() string {
	if *v == 0 {
		return "auto"
	}
	return FormatSize(max(0, int64(*v)))
}

func (v *MinFreeValue) Set(s string) error {
	if s == "auto" {
		*v = 0
		return nil
	}
	n, err := ParseSize(s)
	if err != nil {
		return fmt.Errorf("want auto, or %w", err)
	}
	if n == 0 {
		n = -1
	}
	*v = MinFreeValue(n)
	return nil
}

// isZero is true for a number, a size or a duration of zero.
func isZero(v pflag.Value) bool {
	switch v := v.(type) {
	case *CountValue:
		return *v == 0
	case *SizeValue:
		return *v == 0
	case *DurationValue:
		return *v == 0
	}
	return false
}

// sizeUnits are in the order in which FormatSize tries them. A kB of 1000 bytes
// is not among them: one letter's difference should not change a limit.
var sizeUnits = []struct {
	name  string
	bytes int64
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

var errSize = errors.New("want a size such as 512KiB, 64MiB or 1GiB, or a number of bytes")

func ParseSize(s string) (int64, error) {
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

func FormatSize(n int64) string {
	for _, u := range sizeUnits {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0"
}
