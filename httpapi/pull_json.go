package httpapi

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// Bounds of this API's fields, beside those of the engine (QUEUES.md B.1 to B.6).
const (
	pullNameMax      = 128
	pullKeyMax       = 256 // of an idempotency key, and of a group
	pullSecretMax    = 256
	pullReceiveUsual = 10
	pullDelayMax     = 90 * 24 * time.Hour
	pullRetentionMin = time.Minute
	pullRetentionMax = 3650 * 24 * time.Hour
	pullBatchItems   = 100
	pullAckItems     = 1000
)

// pullDelay is the longest delay of a message.
func pullDelay(l *engine.Limits) time.Duration { return min(pullDelayMax, l.MaxDelay) }

// rawPlace is where the raw value of a member goes.
type rawPlace struct {
	name string
	at   *[]byte
}

// cutNamed cuts the JSON object that the body is into places. With optional, an empty
// body is an object without members.
func (x *exchange) cutNamed(want string, optional bool, places ...rawPlace) *failure {
	if optional && len(x.body.b) == 0 {
		return nil
	}
	return x.cutBody(want, among(places))
}

func among(places []rawPlace) func(name []byte) *[]byte {
	return func(name []byte) *[]byte {
		for i := range places {
			if places[i].name == string(name) {
				return places[i].at
			}
		}
		return nil
	}
}

// pullName checks the name of a queue of this API. . and .. are none, since clients put
// names into paths as they are, and then others resolve those.
func pullName(what string, name []byte) *failure {
	if !isName(name) || len(name) > pullNameMax || string(name) == "." || string(name) == ".." {
		return badValue(what, name, "must be 1 to 128 of the characters A-Z a-z 0-9 . _ - and neither . nor ..")
	}
	return nil
}

// nameMember returns the name of a queue, "" for an absent one.
func nameMember(what string, raw []byte) (string, *failure) {
	if isAbsent(raw) {
		return "", nil
	}
	name, fail := stringMember(what, raw)
	if fail == nil {
		fail = pullName(what, name)
	}
	return string(name), fail
}

// textMember returns a text of at most most bytes, "" for an absent one.
func textMember(what string, raw []byte, most int) (string, *failure) {
	s, fail := stringMember(what, raw)
	if fail == nil && len(s) > most {
		fail = badValue(what, s, "must be at most "+strconv.Itoa(most)+" bytes")
	}
	return view(s), fail
}

// wholeMember returns a whole number from least to most, or nil for an absent one. 30.0
// is one: some languages write all their numbers so.
func wholeMember(what string, raw []byte, least, most int) (*int, *failure) {
	if isAbsent(raw) {
		return nil, nil
	}
	f, ok := number(raw)
	if !ok || f != math.Trunc(f) || f < float64(least) || f > float64(most) {
		return nil, badValue(what, raw, fmt.Sprintf("must be a whole number from %d to %d", least, most))
	}
	n := int(f)
	return &n, nil
}

// secondsMember returns a number of seconds from least to most, to the microsecond,
// or nil for an absent one. whole is for fields that are shown in seconds.
func secondsMember(what string, raw []byte, least, most time.Duration, whole bool) (*time.Duration, *failure) {
	if isAbsent(raw) {
		return nil, nil
	}
	f, ok := number(raw)
	kind := "a number"
	if whole {
		kind = "a whole number"
		ok = ok && f == math.Trunc(f)
	}
	if !ok || f < least.Seconds() || f > most.Seconds() {
		return nil, badValue(what, raw, fmt.Sprintf("must be %s of seconds from %d to %d", kind, int64(least.Seconds()), int64(most.Seconds())))
	}
	d := time.Duration(math.Round(f*1e6)) * time.Microsecond
	return &d, nil
}

// number parses a JSON number; one that a float64 cannot hold is none.
func number(raw []byte) (f float64, ok bool) {
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(view(raw), 64)
	return f, err == nil
}
