package commands

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/engine/delay"
)

// secondsFlag is a duration that the API takes in seconds. It is nil until it is set.
type secondsFlag struct{ d *time.Duration }

func (f *secondsFlag) Type() string { return "duration" }

func (f *secondsFlag) String() string {
	if f.d == nil {
		return ""
	}
	return delay.Format(*f.d)
}

func (f *secondsFlag) Set(s string) error {
	d, err := delay.ParseDuration(s)
	if err != nil {
		return errors.New("want a duration such as 30s, 5m or 14d")
	}
	f.d = &d
	return nil
}

// put adds the flag to a body if it was given.
func (f *secondsFlag) put(body map[string]any, member string) {
	if f.d != nil {
		body[member] = f.d.Seconds()
	}
}

// seconds writes a whole number of seconds as a duration.
func seconds(text string) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return text
	}
	return delay.Format(time.Duration(n) * time.Second)
}

// sorted are the names of an object's members in their order.
func sorted(o client.Object) []string { return slices.Sorted(maps.Keys(o)) }
