package record

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func sampleJob() Job {
	return Job{
		User: 7, ID: 0x1122334455667788, State: JobRunning, Rate: 250, Created: 1_700_000_000_000, Updated: 1_700_000_060_000,
		From: 1_699_000_000_000, To: 1_700_000_000_000, URL: "https://new.example/hook", Error: "why",
		Filter:   []FilterValue{{FilterLabel, "orders"}, {FilterLabel, "bills"}, {FilterHost, ""}},
		Position: 5<<32 | 64, End: 9<<32 | 8, Reached: 1_699_000_060_000, Matched: 40, Replayed: 30, Expired: 8, Failed: 2,
	}
}

func drawJob(t *rapid.T) *Job {
	j := &Job{
		User: rapid.Uint32().Draw(t, "user"), ID: rapid.Uint64().Draw(t, "id"), State: JobState(rapid.Uint8Range(1, 5).Draw(t, "state")),
		Rate: rapid.Uint32().Draw(t, "rate"), Created: rapid.Int64().Draw(t, "created"), Updated: rapid.Int64().Draw(t, "updated"),
		From: rapid.Int64().Draw(t, "from"), To: rapid.Int64().Draw(t, "to"), URL: rapid.String().Draw(t, "url"), Error: rapid.String().Draw(t, "error"),
		Position: rapid.Uint64().Draw(t, "position"), End: rapid.Uint64().Draw(t, "end"), Reached: rapid.Int64().Draw(t, "reached"),
		Matched: rapid.Uint64().Draw(t, "matched"), Replayed: rapid.Uint64().Draw(t, "replayed"),
		Expired: rapid.Uint64().Draw(t, "expired"), Failed: rapid.Uint64().Draw(t, "failed"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "values") {
		j.Filter = append(j.Filter, FilterValue{FilterField(rapid.Uint8Range(1, 10).Draw(t, "field")), rapid.String().Draw(t, "value")})
	}
	return j
}

// TestRefusedJobs: what a later version writes of a job is refused, and so is one whose
// lengths do not agree.
func TestRefusedJobs(t *testing.T) {
	j := sampleJob()
	good := j.Append(nil)
	if j.Size() != len(good) {
		t.Errorf("%d bytes, Size says %d", len(good), j.Size())
	}
	change := func(at int, b byte) []byte {
		p := bytes.Clone(good)
		p[at] = b
		return p
	}
	with := func(field ...byte) []byte {
		p := append(bytes.Clone(good), field...)
		le.PutUint32(p[112:], le.Uint32(p[112:])+uint32(len(field)))
		return p
	}
	for name, c := range map[string]struct {
		p    []byte
		want error
	}{
		"version 2": {change(1, 2), ErrUnknown}, "a flag": {change(2, 1), ErrUnknown},
		"state 0": {change(108, 0), ErrUnknown}, "state 6": {change(108, byte(JobGone)+1), ErrUnknown},
		"byte 109": {change(109, 1), ErrUnknown}, "byte 111": {change(111, 1), ErrUnknown}, "byte 119": {change(119, 1), ErrUnknown},
		"another field":  {with(byte(tagKeyNext), 0), ErrUnknown},
		"filter field 0": {with(byte(tagName), 1, 0), ErrUnknown}, "filter field 11": {with(byte(tagName), 1, 11), ErrUnknown},
		"a filter of no field": {with(byte(tagName), 0), ErrTruncated},
		"bytes behind it":      {append(bytes.Clone(good), byte(tagName), 1, 1), ErrTruncated},
	} {
		if err := DecodeJob(c.p, new(Job)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range good {
		if err := DecodeJob(good[:n], new(Job)); !errors.Is(err, ErrTruncated) {
			t.Errorf("%d of %d bytes: %v", n, len(good), err)
		}
	}
}
