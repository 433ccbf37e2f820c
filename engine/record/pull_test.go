package record

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

const samplePullID = 0xD1D2D3D4D5D6D7D8

var samplePull = Pull{
	Published: 1_800_000_000_123, Since: 1_800_000_060_000, First: 1_800_000_061_000, Leased: 1_800_000_062_000, Lease: 0xE1E2E3E4E5E6E7E8,
	Dead: PullDead{At: 1_800_000_060_000, Attempts: 4, Status: 503, Reason: PullFailed, Source: "invoices"},
}

func samplePullMessage() Message {
	m := sample()
	m.Flags, m.FromDead, m.URL, m.Lane, m.Host = FlagPull|FlagLine, FromDead{}, "", OrderingLane(samplePullID, "customer-9"), samplePullID
	m.Line, m.PullName, m.PullGroup = Line{Queue: samplePullID}, "orders", "customer-9"
	return m
}

// samplePullOutcome buries a message in another queue.
func samplePullOutcome() Outcome {
	o := sampleOutcome()
	o.Body = nil
	o.Step = PullStep{Op: PullBury, Leased: true, Next: samplePull, Lane: 1, Host: 2, Queue: 3}
	return o
}

func samplePullLease() Outcome {
	o := sampleOutcome()
	o.Error, o.Header, o.Body, o.Status = "", nil, nil, 0
	o.Line = Line{Queue: samplePullID}
	o.Step = PullStep{Op: PullReceive, Next: samplePull}
	o.Step.Next.Dead = PullDead{}
	return o
}

func samplePullMove() Move {
	m := samplePullMessage()
	row := Row{
		User: 7, Nonce: m.Nonce, Seq: 1<<32 | 512, Pos: 1<<32 | 1024, Len: 333, Lane: m.Lane, Host: m.Host, Due: m.Due, Tries: 2,
		Line: m.Line, Pull: samplePull,
	}
	return Move{Row: row, Old: row.Pos, OldLen: row.Len, What: MovePending, Record: m.Append(nil)}
}

func samplePullQueue() PullQueue {
	return PullQueue{
		Flags: PullPaused, User: 7, ID: samplePullID, Name: "orders", Created: 1_800_000_000_000, Updated: 1_800_000_000_123,
		Old: 1<<32 | 1024, OldLen: 200, Retention: 1_209_600_000, Delay: 5_000, Visibility: 30_000, Timeout: 60_000, Retries: 3, Parallel: 10,
		DeadName: "orders-dlq", URL: "https://example.com/hook", Secret: "s1", SecretNext: "s2", RetryDelay: "1000 * retried",
		Counters: PullCounters{1, 2, 3, 4, 5, 6},
	}
}

// pullSamples are those of pull queues.
func pullSamples() map[string]appender {
	m, o, l, v, q := samplePullMessage(), samplePullOutcome(), samplePullLease(), samplePullMove(), samplePullQueue()
	return map[string]appender{"message-pull": &m, "outcome-pull": &o, "outcome-lease": &l, "move-pull": &v, "pullqueue": &q}
}

// TestPullRoundTrip: whatever a row keeps of a message, a step says it whole.
func TestPullRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := PullStep{
			Op: PullOp(rapid.Uint8Range(1, uint8(pullOpMax)).Draw(t, "op")), Leased: rapid.Bool().Draw(t, "leased"),
			Next: Pull{
				Published: rapid.Int64Range(1, 1<<50).Draw(t, "published"), Since: rapid.Int64().Draw(t, "since"),
				First: rapid.Int64().Draw(t, "first"), Leased: rapid.Int64().Draw(t, "began"), Lease: rapid.Uint64().Draw(t, "lease"),
			},
		}
		if s.Op.Moves() {
			s.Lane, s.Host, s.Queue = rapid.Uint64().Draw(t, "lane"), rapid.Uint64().Draw(t, "host"), rapid.Uint64().Draw(t, "queue")
		}
		if rapid.Bool().Draw(t, "dead") {
			s.Next.Dead = PullDead{
				At: rapid.Int64().Draw(t, "at"), Attempts: rapid.Uint16().Draw(t, "attempts"), Status: rapid.Uint16().Draw(t, "status"),
				Reason: PullReason(rapid.Uint8Range(1, uint8(pullReasonMax)).Draw(t, "reason")),
				Source: rapid.StringMatching(`[A-Za-z0-9._-]{1,128}`).Draw(t, "source"),
			}
		}
		o := sampleOutcome()
		o.Step = s
		checkRoundTrip(t, &o)
		var head Outcome
		if err := DecodeOutcomeHead(o.Append(nil), &head); err != nil || head.Step != s {
			t.Fatalf("the head says %+v, %v", head.Step, err)
		}
		m := samplePullMove()
		m.Pull = s.Next
		checkRoundTrip(t, &m)
	})
}

// TestPullRefused: parts about pull queues that do not agree are no message and no step.
func TestPullRefused(t *testing.T) {
	for name, change := range map[string]func(*Message){
		"a flag without a name":  func(m *Message) { m.PullName, m.Line, m.PullGroup = "", Line{}, "" },
		"a name without a flag":  func(m *Message) { m.Flags &^= FlagPull },
		"a group without a line": func(m *Message) { m.Line = Line{} },
	} {
		m := samplePullMessage()
		change(&m)
		if err := DecodeMessage(m.Append(nil), new(Message)); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*PullStep){
		"an operation of a later version": func(s *PullStep) { s.Op = pullOpMax + 1 },
		"a message never published":       func(s *PullStep) { s.Next.Published = 0 },
		"a reason of a later version":     func(s *PullStep) { s.Next.Dead.Reason = pullReasonMax + 1 },
	} {
		o := samplePullOutcome()
		change(&o.Step)
		if err := DecodeOutcome(o.Append(nil), new(Outcome)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	q := samplePullQueue()
	q.ID = 0
	if err := DecodePullQueue(q.Append(nil), new(PullQueue)); !errors.Is(err, ErrTruncated) {
		t.Errorf("a queue without an id: %v", err)
	}
}
