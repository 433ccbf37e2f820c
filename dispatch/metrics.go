package dispatch

import "github.com/tidemill/tidemill/internal/histogram"

// A Stage is a part of an attempt whose time is counted.
type Stage uint8

// The stages of an attempt. The first three are counted where a connection was made,
// each if it was come to; StageFirstByte where an answer began, StageTotal always.
const (
	StageDNS Stage = iota
	StageConnect
	StageTLS
	StageFirstByte // from the start of the attempt
	StageTotal

	stageCount
)

var stageNames = [stageCount]string{"dns", "connect", "tls", "first_byte", "total"}

// String returns the stage as one lower-case word, for metrics.
func (s Stage) String() string { return stageNames[s] }

// Stages are all of them.
func Stages() []Stage {
	return []Stage{StageDNS, StageConnect, StageTLS, StageFirstByte, StageTotal}
}

// Classes are all of them.
func Classes() []Class {
	out := make([]Class, classCount)
	for i := range out {
		out[i] = Class(i)
	}
	return out
}

// Times returns how long a stage took in all attempts that have ended since New.
func (c *Client) Times(s Stage) histogram.Snapshot { return c.counters.stages[s].Snapshot() }

// count takes the end of an attempt.
func (c *counters) count(r *Result) {
	c.classes[r.Class].Add(1)
	if r.Class == OK {
		digit := r.Status / 100
		if digit >= len(c.statuses) {
			digit = 0
		}
		c.statuses[digit].Add(1)
	}
	t := &r.Timing
	if t.DNS > 0 {
		c.stages[StageDNS].Observe(t.DNS)
	}
	if t.Connect > 0 {
		c.stages[StageConnect].Observe(t.Connect)
	}
	if t.TLS > 0 {
		c.stages[StageTLS].Observe(t.TLS)
	}
	if t.FirstByte > 0 {
		c.stages[StageFirstByte].Observe(t.FirstByte)
	}
	c.stages[StageTotal].Observe(t.Total)
}
