package httpapi

import (
	"bytes"
	"fmt"
	"time"

	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/engine/delay"
)

const (
	// keyMax bounds a flow-control key and an ordering key, bytes. They are any text.
	keyMax = 1024
	// flowLimitMax bounds parallelism and rate.
	flowLimitMax = 1_000_000_000
)

// flow is what the options say of flow control; nothing when there are none of it.
func (o *options) flow() (f engine.FlowControl, fail *failure) {
	key, value := o.values[optFlowKey], o.values[optFlowValue]
	switch {
	case key == nil && value == nil:
		return f, nil
	case value == nil:
		return f, badRequest("%s is missing: with %s it must say parallelism=N, rate=N, period=D, at least one of the first two",
			o.name(optFlowValue), o.name(optFlowKey))
	case key == nil:
		return f, badRequest("%s is missing: %s needs the key whose limits it sets", o.name(optFlowKey), o.name(optFlowValue))
	case len(key) > keyMax:
		return f, badValue(o.name(optFlowKey), key, fmt.Sprintf("must be at most %d bytes", keyMax))
	}
	f.Key = view(key)
	if why := parseFlowValue(&f, value); why != "" {
		return f, badValue(o.name(optFlowValue), value, why)
	}
	return f, nil
}

// parseFlowValue fills in the limits from "parallelism=N, rate=N, period=D", in any
// order, or says what is wrong with it.
func parseFlowValue(f *engine.FlowControl, v []byte) (why string) {
	for more := true; more; {
		var part []byte
		part, v, more = bytes.Cut(v, []byte{','})
		name, value, _ := bytes.Cut(part, []byte{'='})
		if why := setFlowPart(f, trimSpace(name), trimSpace(value)); why != "" {
			return why
		}
	}
	if f.Parallelism == 0 && f.Rate == 0 {
		return "must have a parallelism or a rate, such as parallelism=5 or rate=10, period=1m"
	}
	return ""
}

func setFlowPart(f *engine.FlowControl, name, value []byte) (why string) {
	switch {
	case equalFold(name, "parallelism") && f.Parallelism == 0:
		f.Parallelism, why = flowLimit("parallelism", value)
	case equalFold(name, "rate") && f.Rate == 0:
		f.Rate, why = flowLimit("rate", value)
	case equalFold(name, "period") && f.Period == 0:
		f.Period, why = flowPeriod(value)
	case equalFold(name, "parallelism") || equalFold(name, "rate") || equalFold(name, "period"):
		why = fmt.Sprintf("%s is there twice", bytes.ToLower(name))
	default:
		why = fmt.Sprintf("%s is none of parallelism, rate and period, each with a value and separated by commas", short(name))
	}
	return why
}

// flowLimit parses a parallelism or a rate.
func flowLimit(name string, v []byte) (n int, why string) {
	d, ok := digits(v)
	if !ok || d < 1 || d > flowLimitMax {
		return 0, fmt.Sprintf("%s must be a whole number from 1 to %d", name, flowLimitMax)
	}
	return int(d), ""
}

// flowPeriod parses a period; a bare number is seconds. Less than one cannot be told
// in whole seconds, as every view of it does.
func flowPeriod(v []byte) (time.Duration, string) {
	d, err := delay.ParseDuration(view(v))
	if err != nil || d < time.Second || d > engine.FlowPeriodMax {
		return 0, "period must be a duration from 1s to 7d, such as 30s or 1h30m"
	}
	return d, ""
}
