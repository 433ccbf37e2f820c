package record

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	for name, draw := range map[string]func(*rapid.T) appender{
		"message":  func(t *rapid.T) appender { return drawMessage(t) },
		"outcome":  func(t *rapid.T) appender { return drawOutcome(t) },
		"user":     func(t *rapid.T) appender { return drawUser(t) },
		"dropdead": func(t *rapid.T) appender { return drawDrop(t) },
		"move":     func(t *rapid.T) appender { return drawMove(t) },

		"schedule":     func(t *rapid.T) appender { return drawSchedule(t) },
		"dropschedule": func(t *rapid.T) appender { return drawDropSchedule(t) },
		"tick":         func(t *rapid.T) appender { return drawTick(t) },

		"fanout":    func(t *rapid.T) appender { return drawFanout(t) },
		"queue":     func(t *rapid.T) appender { return drawQueue(t) },
		"flow":      func(t *rapid.T) appender { return drawFlow(t) },
		"group":     func(t *rapid.T) appender { return drawGroup(t) },
		"dropgroup": func(t *rapid.T) appender { return drawDropGroup(t) },
		"job":       func(t *rapid.T) appender { return drawJob(t) },

		"token, droptoken, dropuser": drawTokenRecord,
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { checkRoundTrip(t, draw(t)) })
		})
	}
}

// TestRule: what decides when the ticks are changes it, nothing else does, and its
// value, which the index keeps, is for ever.
func TestRule(t *testing.T) {
	s := sampleSchedule()
	const want = 0xaba8e3c4102e63b9
	if got := s.Rule(); got != want {
		t.Fatalf("the rule is %#x, was %#x", got, uint64(want))
	}
	for name, change := range map[string]func(*Schedule){
		"expression": func(s *Schedule) { s.Cron += " " },
		"seconds":    func(s *Schedule) { s.Flags &^= FlagSeconds },
		"dst":        func(s *Schedule) { s.DST++ },
	} {
		c := s
		if change(&c); c.Rule() == want {
			t.Errorf("another %s, the same rule", name)
		}
	}
	other := sampleSchedule()
	other.Flags &^= FlagPaused
	other.User, other.ID, other.Created, other.Missed, other.MissedMax, other.Window, other.Jitter = 1, "b", 2, 3, 4, 5, 6
	other.Ticks, other.Old, other.OldLen, other.Message, other.Defined, other.DedupKey, other.Error = Ticks{}, 7, 8, nil, 9, [16]byte{}, ""
	if other.Rule() != want {
		t.Error("something that does not decide when its ticks are changes the rule")
	}
}

// FuzzRoundTrip is the same property with the fuzzer's coverage as a guide.
func FuzzRoundTrip(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { checkRoundTrip(t, drawAny(t)) }))
}

// FuzzDecode: whatever the bytes, decoding returns; what it accepts holds no
// more than the payload did, and survives another round trip.
func FuzzDecode(f *testing.F) {
	for _, p := range samples() {
		f.Add(p)
		f.Add(p[:len(p)/2])
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		in := bytes.Clone(p)
		v, err := decodeAny(p)
		if !bytes.Equal(in, p) {
			t.Fatal("decoding changed the payload")
		}
		if n := held(v); n > len(p) {
			t.Fatalf("%d bytes came out of %d", n, len(p))
		}
		checkHeads(t, p, v, err)
		if err == nil {
			checkRoundTrip(t, v.(appender))
		}
	})
}

// held is the number of payload bytes that a decoded value must have come from.
func held(v any) int {
	n := 0
	var hs []Header
	switch v := v.(type) {
	case *Message:
		n, hs = len(v.URL)+len(v.CallerIP)+len(v.RetryDelay)+len(v.Schedule)+len(v.Body), v.Header
		n += len(v.QueueName) + len(v.Ordering) + len(v.FlowKey) + len(v.Topic) + len(v.Endpoint) + len(v.Callback) + len(v.Failure)
	case *Outcome:
		n, hs = len(v.Error)+len(v.Body)+len(v.Source), v.Header
		for _, c := range v.Callbacks {
			n += len(c)
		}
	case *Queue:
		n = len(v.Name)
	case *Flow:
		n = len(v.Key)
	case *Group:
		n, hs = len(v.Name), v.Header
		for _, e := range v.Endpoints {
			n += 4 + len(e.URL) + len(e.Name)
		}
	case *DropGroup:
		n = len(v.Name)
	case *Job:
		n = len(v.URL) + len(v.Error)
		for _, f := range v.Filter {
			n += 3 + len(f.Value)
		}
	case *Fanout:
		n = len(v.Message)
		for _, m := range v.Members {
			n += 26 + len(m.URL) + len(m.Endpoint)
		}
	case *User:
		n = len(v.Name) + len(v.Current) + len(v.Next)
	case *Move:
		n = len(v.Record)
	case *Schedule:
		n = len(v.ID) + len(v.Cron) + len(v.Error) + len(v.Message)
	case *DropSchedule:
		n = len(v.ID)
	case *Tick:
		n = len(v.ID) + len(v.Error)
	}
	for _, h := range hs {
		n += 2 + len(h.Name) + len(h.Value) // a tag and a length at least for the name
	}
	return n
}

// checkHeads: the views that parse less agree with the whole decoders.
func checkHeads(t *testing.T, p []byte, v any, err error) {
	t.Helper()
	switch v := v.(type) {
	case *Message:
		checkMessageHead(t, p, v, err)
	case *Outcome:
		var o Outcome
		if headErr := DecodeOutcomeHead(p, &o); err == nil && headErr != nil {
			t.Fatalf("the head alone is refused: %v", headErr)
		}
		if err != nil {
			return
		}
		checkCallbacks(t, p, v)
		v.Error, v.Header, v.Body, v.Timing, v.Callbacks, v.Source = "", nil, nil, Timing{}, nil, nil
		{
			if !reflect.DeepEqual(&o, v) {
				t.Fatalf("head %+v, whole %+v", o, *v)
			}
			*v = Outcome{}
			_ = DecodeOutcome(p, v)
		}
	}
}

// checkCallbacks: what the applier sees of callbacks is what there is.
func checkCallbacks(t *testing.T, p []byte, o *Outcome) {
	t.Helper()
	n := 0
	err := EachCallback(p, func(i int, h MessageHead, m []byte) error {
		if i != n || n >= len(o.Callbacks) || !bytes.Equal(m, o.Callbacks[i]) || !h.Report() {
			t.Fatalf("callback %d is %x of %x", i, m, o.Callbacks)
		}
		n++
		return nil
	})
	if err != nil || n != len(o.Callbacks) {
		t.Fatalf("%d of %d callbacks: %v", n, len(o.Callbacks), err)
	}
}

func checkMessageHead(t *testing.T, p []byte, m *Message, err error) {
	t.Helper()
	h, headErr := HeadOfMessage(p)
	if headErr != nil {
		if err == nil {
			t.Fatalf("the head alone is refused: %v", headErr)
		}
		return
	}
	dedup, fromDead, specialErr := h.Special()
	if err != nil {
		return
	}
	if specialErr != nil || dedup != m.DedupKey || fromDead != m.FromDead {
		t.Fatalf("Special gives %x, %v, %v; the message has %x, %v", dedup, fromDead, specialErr, m.DedupKey, m.FromDead)
	}
	id, k, ok, tickErr := h.Tick()
	if ok != (m.Flags&FlagTick != 0) || tickErr != nil || k != m.Tick || ok && string(id) != m.Schedule {
		t.Fatalf("Tick gives %q, %+v, %v, %v; the message has %q, %+v", id, k, ok, tickErr, m.Schedule, m.Tick)
	}
	line, lineErr := h.Line()
	names, namesErr := h.LineNames()
	if line != m.Line || lineErr != nil || namesErr != nil || h.Report() != (m.Flags&FlagReport != 0) {
		t.Fatalf("Line gives %+v, %v, LineNames %v; the message has %+v", line, lineErr, namesErr, m.Line)
	}
	if line != (Line{}) && (string(names.Queue) != m.QueueName || string(names.FlowKey) != m.FlowKey || names.FlowRule != m.FlowRule) {
		t.Fatalf("LineNames gives %+v; the message has %q, %q, %+v", names, m.QueueName, m.FlowKey, m.FlowRule)
	}
	if h.User() != m.User || h.Nonce() != m.Nonce || h.Due() != m.Due || h.Created() != m.Created || h.Lane() != m.Lane || h.Host() != m.Host {
		t.Fatalf("head and message differ: %+v", m)
	}
}

// TestDecodeReusesHeader: a Message that is decoded into again keeps its
// header's memory and nothing of its content.
func TestDecodeReusesHeader(t *testing.T) {
	full, bare := sample(), Message{URL: "http://a.example/"}
	p, q := full.Append(nil), bare.Append(nil)
	var m Message
	for range 2 {
		for _, c := range []struct {
			p    []byte
			want *Message
		}{{p, &full}, {q, &bare}} {
			if err := DecodeMessage(c.p, &m); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(normal(&m), normal(c.want)) {
				t.Fatalf("got %+v\nwant %+v", m, *c.want)
			}
		}
	}
	first := &m.Header[:1][0]
	if err := DecodeMessage(p, &m); err != nil || &m.Header[0] != first {
		t.Fatalf("the header's memory was not used again (%v)", err)
	}
}

// TestDecodeAllocationIsBounded: damage that claims much costs little.
func TestDecodeAllocationIsBounded(t *testing.T) {
	const n = 1 << 20
	tiny := Message{Header: make([]Header, n/4)} // the smallest pairs there are
	lying := Message{URL: "x"}
	liar := lying.Append(nil)
	liar = append(liar[:messageHead], byte(tagURL), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 'x') // 2^56 bytes
	le.PutUint32(liar[60:], uint32(len(liar)-messageHead))
	claims := lying.Append(nil)
	le.PutUint32(claims[60:], 0xFFFF_FFFF)
	many := Outcome{Kind: Dead, Header: make([]Header, n/4)}
	for name, p := range map[string][]byte{
		"headers": tiny.Append(nil), "length": liar, "fields": claims, "response headers": many.Append(nil),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decodeAny(p)
		runtime.ReadMemStats(&after)
		// Header is 32 bytes where its record takes 4, and a slice that grows has
		// been allocated about four times over when it is full.
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(48*len(p)+16<<10); got > limit {
			t.Errorf("%s: %d bytes allocated for a payload of %d (%v)", name, got, len(p), err)
		}
	}
}

// TestEncodeDoesNotAllocate: the commit path encodes into the group's memory.
func TestEncodeDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, 4096)
	for name, v := range sampleValues() {
		if n := testing.AllocsPerRun(100, func() { dst = v.Append(dst[:0]) }); n != 0 {
			t.Errorf("%s: Append allocates %v times", name, n)
		}
	}
}

// TestHeadDoesNotAllocate: the step function and the applier read heads.
func TestHeadDoesNotAllocate(t *testing.T) {
	p := samples()
	var o Outcome
	if n := testing.AllocsPerRun(100, func() {
		h, err := HeadOfMessage(p["message"])
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := h.Special(); err != nil {
			t.Fatal(err)
		}
		h, err = HeadOfMessage(p["message-tick"])
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok, err := h.Tick(); !ok || err != nil {
			t.Fatal(err)
		}
		h, err = HeadOfMessage(p["message-line"])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Line(); err != nil {
			t.Fatal(err)
		}
		if _, err := h.LineNames(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"outcome", "outcome-line"} {
			if err := DecodeOutcomeHead(p[name], &o); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("reading heads allocates %v times", n)
	}
}
