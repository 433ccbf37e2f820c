package record

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var sampleRule = FlowRule{Parallelism: 3, Rate: 10, Period: 60_000, Sliding: true}

// sampleLineMessage has every field set that says where a message stands in line, and
// what becomes of its end.
func sampleLineMessage() Message {
	m := sample()
	callback := sampleCallback()
	m.Flags, m.Line = FlagLine, Line{Queue: QueueID(7, "orders"), Flow: FlowID(7, "tenant-1")}
	m.QueueName, m.Ordering, m.FlowKey, m.FlowRule = "orders", "customer-9", "tenant-1", sampleRule
	m.Topic, m.Endpoint = "all-shops", "berlin"
	m.Callback, m.Failure = callback.Append(nil), callback.Append(nil)
	return m
}

// sampleCallback is a callback in the turn of sampleOutcome's message.
func sampleCallback() Message {
	return Message{
		Flags: FlagReport | FlagLine, User: 7, Nonce: 0x1112131415161718, Due: 1_800_000_061_500, Created: 1_800_000_061_500,
		Lane: 0xA1A2A3A4A5A6A7A8, Host: 0xC1C2C3C4C5C6C7C8, Retries: 3, URL: "https://example.com/callback",
		Line: Line{Queue: QueueID(7, "orders"), Root: 1<<32 | 512}, QueueName: "orders",
	}
}

func sampleLineOutcome() Outcome {
	o, m, first, second := sampleOutcome(), sample(), sampleCallback(), sampleCallback()
	second.Nonce++
	o.Line = Line{Queue: QueueID(7, "orders"), Root: 1<<32 | 256, Flow: FlowID(7, "tenant-1")}
	o.Timing = Timing{Queue: 1, Flow: 1 << 20, DNS: 3, Connect: 400, TLS: 50_000, FirstByte: 6, Total: 1<<32 - 1}
	o.Callbacks, o.Source = [][]byte{first.Append(nil), second.Append(nil)}, m.Append(nil)
	return o
}

// sampleLineMove moves a callback, which stands in the outcome that it reports.
func sampleLineMove() Move {
	o := sampleLineOutcome()
	c := sampleCallback()
	row := Row{User: 7, Nonce: c.Nonce, Seq: 1<<32 | 8193, Pos: 1<<32 | 8192, Len: 500, Lane: c.Lane, Host: c.Host, Due: c.Due, Line: c.Line}
	return Move{Row: row, Old: row.Pos, OldLen: row.Len, What: MovePending, Record: o.Append(nil)}
}

func sampleFanout() Fanout {
	m := sampleLineMessage()
	m.URL, m.Nonce, m.Lane, m.Host, m.Endpoint, m.FromDead = "", 0, 0, 0, "", FromDead{}
	return Fanout{Message: m.Append(nil), Members: []Member{
		{Nonce: 21, Lane: 31, Host: 41, URL: "https://example.com/berlin", Endpoint: "berlin"},
		{Nonce: 22, Lane: 32, Host: 42, URL: "https://example.com/" + strings.Repeat("x", 200)},
	}}
}

func sampleQueue() Queue {
	return Queue{
		Flags: QueuePaused | QueueGone, User: 7, Name: "orders", Parallelism: 5, Created: 1_800_000_000_000, Updated: 1_800_000_000_123,
		Drop: 1<<32 | 2048, Old: 1<<32 | 1024, OldLen: 56,
	}
}

func sampleFlow() Flow {
	return Flow{
		Flags: FlowPaused | FlowPinnedRate, User: 7, Key: "tenant-1", FlowRule: sampleRule, Window: 1_800_000_000_000, Drawn: 9,
		Old: 1<<32 | 1024, OldLen: 55,
	}
}

func sampleGroup() Group {
	return Group{
		User: 7, Name: "all-shops", Created: 1_800_000_000_000, Updated: 1_800_000_000_123, Old: 1<<32 | 1024, OldLen: 99,
		Endpoints: []Endpoint{{"https://example.com/berlin", "berlin"}, {"https://example.com/paris", ""}},
		Header:    []Header{{"Upstash-Retries", "5"}, {"Upstash-Forward-X", ""}},
	}
}

func sampleDropGroup() DropGroup {
	return DropGroup{User: 7, Name: "all-shops", Old: 1<<32 | 1024, OldLen: 99}
}

// lineSamples are the samples of version 4.
func lineSamples() map[string]appender {
	m, o, v, f := sampleLineMessage(), sampleLineOutcome(), sampleLineMove(), sampleFanout()
	q, k, g, d := sampleQueue(), sampleFlow(), sampleGroup(), sampleDropGroup()
	l := sampleLabelMessage()
	return map[string]appender{
		"message-label": &l, "message-line": &m, "outcome-line": &o, "move-line": &v, "fanout": &f, "queue": &q, "flow": &k, "group": &g, "dropgroup": &d,
	}
}

// TestIDs: what queues, keys and lanes are known by is in rows and records, for ever.
func TestIDs(t *testing.T) {
	queue, flow := QueueID(7, "orders"), FlowID(7, "tenant-1")
	for name, c := range map[string][2]uint64{
		"queue": {queue, 0xcc423dd7b077d781}, "key": {flow, 0xc592fa4bde68426c}, "ordering": {OrderingLane(queue, "customer-9"), 0xab9c20d48305dcdc},
		"key and host": {FlowLane(flow, 5), 0x8747a36ebee099d2},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %#x, was %#x", name, c[0], c[1])
		}
	}
	seen := map[uint64]string{}
	for name, id := range map[string]uint64{
		"queue": queue, "another account's": QueueID(8, "orders"), "another": QueueID(7, "order"), "a key": FlowID(7, "orders"),
		"no ordering": OrderingLane(queue, ""), "an ordering": OrderingLane(queue, "a"), "another queue's": OrderingLane(flow, "a"),
		"a host": FlowLane(flow, 1), "another host": FlowLane(flow, 2), "another key": FlowLane(queue, 1),
	} {
		if seen[id] != "" {
			t.Errorf("%s and %s are one", name, seen[id])
		}
		seen[id] = name
	}
}

func TestOrder(t *testing.T) {
	for want, r := range map[int64]Row{
		5: {Due: 5, Seq: 7}, 7: {Due: 5, Seq: 7, Line: Line{Queue: 1}}, 3: {Due: 5, Seq: 7, Line: Line{Queue: 1, Root: 3}},
		6: {Due: 6, Seq: 7, Line: Line{Flow: 1}},
	} {
		if got := r.Order(); got != want {
			t.Errorf("%+v: %d, want %d", r, got, want)
		}
	}
}

// TestShares: the members of a fan-out, and callbacks, count for all of the record, and
// for less than a byte each more.
func TestShares(t *testing.T) {
	f, o := sampleFanout(), sampleLineOutcome()
	total, n := 0, 0
	p := f.Append(nil)
	if _, err := EachMember(p, func(_ int, m *MemberHead) error { total += int(m.Share); n++; return nil }); err != nil {
		t.Fatal(err)
	}
	if total < len(p) || total >= len(p)+n || n != 2 {
		t.Errorf("%d members count %d bytes of %d", n, total, len(p))
	}
	p = o.Append(nil)
	if total := 2 * int(CallbackShare(p)); total < len(p) || total >= len(p)+2 {
		t.Errorf("callbacks count %d bytes of %d", total, len(p))
	}
}

// TestOpenMessage: a message is found by its nonce wherever it stands, and its head is.
func TestOpenMessage(t *testing.T) {
	all := samples()
	single, callback := sample(), sampleCallback()
	member := sampleLineMessage()
	member.URL, member.Nonce, member.Lane, member.Host, member.Endpoint, member.FromDead = "https://example.com/berlin", 21, 31, 41, "berlin", FromDead{}
	for _, c := range []struct {
		in    string
		nonce uint64
		want  *Message
	}{
		{"message", single.Nonce, &single},
		{"fanout", 21, &member},
		{"outcome-line", callback.Nonce, &callback},
		{"message", 1, nil},
		{"fanout", 1, nil},
		{"outcome-line", 1, nil},
		{"outcome", 1, nil},
		{"queue", 0, nil},
		{"user", 0, nil},
	} {
		var got Message
		reports, err := OpenMessage(all[c.in], c.nonce, &got)
		h, headErr := HeadOf(all[c.in], c.nonce)
		if c.want == nil {
			if err == nil || headErr == nil {
				t.Errorf("%s: message %d was found", c.in, c.nonce)
			}
			continue
		}
		if err != nil || headErr != nil || !reflect.DeepEqual(normal(&got), normal(c.want)) {
			t.Errorf("%s: %v, %v\n got %+v\nwant %+v", c.in, err, headErr, got, *c.want)
		}
		if h.User() != got.User || h.Created() != got.Created || (reports != nil) != (c.in == "outcome-line") {
			t.Errorf("%s: head of user %d; reports %v", c.in, h.User(), reports)
		}
	}
	alone := callback.Append(nil)
	if _, err := OpenMessage(alone, callback.Nonce, new(Message)); err == nil {
		t.Error("a callback that is not in an outcome was opened")
	}
	if _, err := HeadOf(alone, callback.Nonce); err == nil {
		t.Error("a callback that is not in an outcome has a head")
	}
}

// TestStamp: it changes the two times and nothing else.
func TestStamp(t *testing.T) {
	m := sampleCallback()
	p := m.Append(nil)
	Stamp(p, 123)
	if m.Created, m.Due = 123, m.Due+123; !bytes.Equal(p, m.Append(nil)) {
		t.Error("a stamped message is another one")
	}
}

// TestLineOfMessage: a line, its flag and its names agree, and a line leads somewhere.
func TestLineOfMessage(t *testing.T) {
	field := func(l Line) []byte { return l.append(nil) }
	queue, key := appendField(nil, tagQueue, "q"), appendFlow(nil, &sampleRule, "key")
	for what, c := range map[string]struct {
		flags  uint16
		fields [][]byte
		err    error
	}{
		"none":                         {0, nil, nil},
		"a queue":                      {FlagLine, [][]byte{field(Line{Queue: 1}), queue}, nil},
		"the other way round":          {FlagLine, [][]byte{queue, field(Line{Queue: 1})}, nil},
		"a key":                        {FlagLine, [][]byte{field(Line{Flow: 1}), key}, nil},
		"both":                         {FlagLine, [][]byte{field(Line{Queue: 1, Root: 2, Flow: 1}), key, queue}, nil},
		"names alone, as in templates": {0, [][]byte{key, queue}, nil},
		"without its flag":             {0, [][]byte{field(Line{Queue: 1}), queue}, ErrTruncated},
		"the flag alone":               {FlagLine, [][]byte{queue}, ErrTruncated},
		"that leads nowhere":           {FlagLine, [][]byte{field(Line{})}, ErrTruncated},
		"of a root without a queue":    {FlagLine, [][]byte{field(Line{Root: 2, Flow: 1}), key}, ErrTruncated},
		"twice":                        {FlagLine, [][]byte{field(Line{Queue: 1}), field(Line{Queue: 1}), queue}, ErrTruncated},
		"a queue without a name":       {FlagLine, [][]byte{field(Line{Queue: 1})}, ErrTruncated},
		"a key without a name":         {FlagLine, [][]byte{field(Line{Flow: 1}), queue}, ErrTruncated},
		"a short line":                 {FlagLine, [][]byte{appendField(nil, tagLine, make([]byte, 23)), queue}, ErrTruncated},
		"a short rule":                 {0, [][]byte{appendField(nil, tagFlow, make([]byte, 12))}, ErrTruncated},
		"a rule of no key":             {0, [][]byte{appendField(nil, tagFlow, make([]byte, 13))}, ErrTruncated},
		"a later version's rule":       {0, [][]byte{appendField(nil, tagFlow, append(make([]byte, 12), 2, 'k'))}, ErrUnknown},
	} {
		p := (&Message{URL: "http://a.example/"}).Append(nil)
		fs := bytes.Join(c.fields, nil)
		le.PutUint16(p[2:], c.flags)
		le.PutUint32(p[60:], le.Uint32(p[60:])+uint32(len(fs)))
		p = append(p, fs...)
		var m Message
		if err := DecodeMessage(p, &m); !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s: %v", what, err)
		}
		checkMessageHead(t, p, &m, c.err)
		if h, err := HeadOfMessage(p); err == nil && c.flags&FlagLine != 0 && c.err != nil {
			if _, err = h.Line(); err == nil {
				_, err = h.LineNames()
			}
			if !errors.Is(err, c.err) {
				t.Errorf("%s, the head alone: %v", what, err)
			}
		}
	}
}

// TestOutcomeDisagrees: a line and its flag, callbacks, their number and what they
// report agree.
func TestOutcomeDisagrees(t *testing.T) {
	line, callback, source := (&Line{Queue: 1}).append(nil), sampleCallback(), sample()
	plain := source.Append(nil)
	reports, what := appendField(nil, tagCallback, callback.Append(nil)), appendField(nil, tagSource, plain)
	for name, c := range map[string]struct {
		flags     uint16
		callbacks byte
		fields    [][]byte
		err       error
	}{
		"none":                       {0, 0, nil, nil},
		"a line":                     {outcomeLine, 0, [][]byte{line}, nil},
		"a line without its flag":    {0, 0, [][]byte{line}, ErrTruncated},
		"a flag without its line":    {outcomeLine, 0, nil, ErrTruncated},
		"two lines":                  {outcomeLine, 0, [][]byte{line, line}, ErrTruncated},
		"a callback":                 {0, 1, [][]byte{reports, what}, nil},
		"two callbacks":              {0, 2, [][]byte{reports, reports, what}, nil},
		"three callbacks":            {0, 3, [][]byte{reports, reports, reports, what}, ErrUnknown},
		"fewer than are counted":     {0, 2, [][]byte{reports, what}, ErrTruncated},
		"more than are counted":      {0, 1, [][]byte{reports, reports, what}, ErrTruncated},
		"none is counted":            {0, 0, [][]byte{reports, what}, ErrTruncated},
		"what they report is absent": {0, 1, [][]byte{reports}, ErrTruncated},
		"nothing reports it":         {0, 0, [][]byte{what}, ErrTruncated},
		"it does not report":         {0, 1, [][]byte{appendField(nil, tagCallback, plain), what}, ErrUnknown},
		"it is no message":           {0, 1, [][]byte{appendField(nil, tagCallback, samples()["outcome"]), what}, ErrUnknown},
		"a later version's":          {0, 1, [][]byte{appendField(nil, tagCallback, withField("message", tagReservedWorkflow)), what}, ErrUnknown},
	} {
		p := (&Outcome{Kind: Delivered}).Append(nil)
		fs := bytes.Join(c.fields, nil)
		le.PutUint16(p[2:], c.flags)
		p[81] = c.callbacks
		le.PutUint32(p[84:], uint32(len(fs)))
		p = append(p, fs...)
		var o Outcome
		err := DecodeOutcome(p, &o)
		if !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s: %v", name, err)
		}
		checkHeads(t, p, &o, err)
	}
}

// TestTiming: all seven parts, each of 32 bits, and not all zero.
func TestTiming(t *testing.T) {
	for what, v := range map[string][]byte{
		"nothing": {0, 0, 0, 0, 0, 0, 0}, "too few": {1, 1, 1, 1, 1, 1}, "too many": {1, 1, 1, 1, 1, 1, 1, 1},
		"33 bits": {1, 1, 1, 1, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x10},
	} {
		if err := new(Timing).decode(v); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestFanoutRefuses: none is called unless the whole record is sound.
func TestFanoutRefuses(t *testing.T) {
	many := Fanout{Message: samples()["message"], Members: make([]Member, MembersMax)}
	if err := DecodeFanout(many.Append(nil), new(Fanout)); err != nil {
		t.Fatalf("%d members: %v", MembersMax, err)
	}
	callback := sampleCallback()
	with := func(m []byte, members int) []byte {
		return (&Fanout{Message: m, Members: make([]Member, members)}).Append(nil)
	}
	lying := samples()["fanout"]
	le.PutUint32(lying[4:], 3)
	longer := samples()["fanout"]
	le.PutUint32(longer[4:], 1)
	for what, p := range map[string][]byte{
		"no members": with(samples()["message"], 0), "too many members": with(samples()["message"], MembersMax+1),
		"no message": with(nil, 1), "an outcome": with(samples()["outcome"], 1), "a callback": with(callback.Append(nil), 1),
		"a later message": with(withField("message", tagReservedWorkflow), 1), "a member too few": lying, "a member too many": longer,
	} {
		_, err := EachMember(p, func(int, *MemberHead) error {
			t.Errorf("%s: a member is there", what)
			return nil
		})
		if !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
		if DecodeFanout(p, new(Fanout)) == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// TestNamesAreThere: a definition has one name, and that says something.
func TestNamesAreThere(t *testing.T) {
	queue, key, topic := appendField(nil, tagQueue, "q"), appendFlow(nil, &sampleRule, "key"), appendField(nil, tagTopic, "g")
	url, name := appendField(nil, tagURL, "http://a.example/"), appendField(nil, tagEndpoint, "")
	record := func(of string, head int, fields ...[]byte) []byte {
		fs := bytes.Join(fields, nil)
		p := samples()[of][:head]
		if of == "group" {
			le.PutUint32(p[36:], uint32(len(fs)))
		}
		return append(p, fs...)
	}
	empty := func(tag Tag) []byte { return appendField(nil, tag, "") }
	for what, c := range map[string]struct {
		p  []byte
		ok bool
	}{
		"queue": {record("queue", queueHead, queue), true}, "queue of none": {record("queue", queueHead), false},
		"queue of two": {record("queue", queueHead, queue, queue), false}, "queue of an empty one": {record("queue", queueHead, empty(tagQueue)), false},
		"flow": {record("flow", flowHead, key), true}, "flow of none": {record("flow", flowHead), false}, "flow of two": {record("flow", flowHead, key, key), false},
		"flow of an empty one": {record("flow", flowHead, appendFlow(nil, &sampleRule, "")), false},
		"drop":                 {record("dropgroup", dropGroupHead, topic), true}, "drop of none": {record("dropgroup", dropGroupHead), false},
		"group": {record("group", groupHead, topic), true}, "group of an endpoint": {record("group", groupHead, topic, url, name), true},
		"group of none": {record("group", groupHead), false}, "group of two": {record("group", groupHead, topic, topic), false},
		"group of an empty one":      {record("group", groupHead, empty(tagTopic)), false},
		"endpoint without its name":  {record("group", groupHead, topic, url), false},
		"endpoint, then another":     {record("group", groupHead, topic, url, url, name), false},
		"name without its endpoint":  {record("group", groupHead, topic, name), false},
		"header without its value":   {record("group", groupHead, topic, empty(tagHeaderName)), false},
		"as many endpoints as go":    {record("group", groupHead, topic, bytes.Repeat(append(bytes.Clone(url), name...), MembersMax)), true},
		"more endpoints than can be": {record("group", groupHead, topic, bytes.Repeat(append(bytes.Clone(url), name...), MembersMax+1)), false},
		"group with bytes behind it": {append(record("group", groupHead, topic), topic...), false},
	} {
		if err := openAny(c.p); c.ok && err != nil || !c.ok && !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFlowUntil(t *testing.T) {
	for what, c := range map[string]struct {
		f    Flow
		want int64
	}{
		"nothing": {Flow{}, 0}, "a pin": {Flow{Flags: FlowPinnedRate, FlowRule: FlowRule{Period: 500}}, 0},
		"a window":        {Flow{Window: 1000, FlowRule: FlowRule{Period: 500}}, 1500},
		"one that slides": {Flow{Window: 1000, FlowRule: FlowRule{Period: 500, Sliding: true}}, 2000},
	} {
		if got := c.f.Until(); got != c.want {
			t.Errorf("%s: until %d, want %d", what, got, c.want)
		}
	}
}

func drawRule(t *rapid.T) FlowRule {
	return FlowRule{
		Parallelism: rapid.Uint32().Draw(t, "parallelism"), Rate: rapid.Uint32().Draw(t, "rate"), Period: rapid.Uint32().Draw(t, "period"),
		Sliding: rapid.Bool().Draw(t, "sliding"),
	}
}

// drawLine draws a line that leads somewhere, or none.
func drawLine(t *rapid.T) (l Line) {
	if rapid.Bool().Draw(t, "in a queue") {
		l.Queue, l.Root = rapid.Uint64Min(1).Draw(t, "queue"), rapid.Uint64().Draw(t, "root")
	}
	if rapid.Bool().Draw(t, "with a key") {
		l.Flow = rapid.Uint64Min(1).Draw(t, "flow")
	}
	return l
}

func drawTemplate(t *rapid.T) []byte {
	m := sampleCallback()
	m.Nonce = rapid.Uint64().Draw(t, "nonce of a template")
	return m.Append(nil)
}

func drawLineOf(t *rapid.T, m *Message) {
	m.Line = drawLine(t)
	m.Ordering, m.Topic, m.Endpoint = text(t, "ordering"), text(t, "topic"), text(t, "endpoint")
	if m.Line.Queue != 0 {
		m.QueueName = drawID(t)
	}
	if m.Line.Flow != 0 {
		m.FlowKey, m.FlowRule = drawID(t), drawRule(t)
	}
	if rapid.Bool().Draw(t, "callback") {
		m.Callback = drawTemplate(t)
	}
	if rapid.Bool().Draw(t, "failure callback") {
		m.Failure = drawTemplate(t)
	}
}

func drawReports(t *rapid.T, o *Outcome) {
	o.Line = drawLine(t)
	for _, p := range o.Timing.parts() {
		*p = rapid.Uint32().Draw(t, "timing")
	}
	for range rapid.IntRange(0, CallbacksMax).Draw(t, "callbacks") {
		m := drawMessage(t)
		m.Flags |= FlagReport
		o.Callbacks, o.Source = append(o.Callbacks, m.Append(nil)), drawTemplate(t)
	}
}

func drawFanout(t *rapid.T) *Fanout {
	f := &Fanout{Message: drawMessage(t).Append(nil), Members: make([]Member, rapid.IntRange(1, 6).Draw(t, "members"))}
	for i := range f.Members {
		f.Members[i] = Member{
			Nonce: rapid.Uint64().Draw(t, "nonce"), Lane: rapid.Uint64().Draw(t, "lane"), Host: rapid.Uint64().Draw(t, "host"),
			URL: text(t, "url"), Endpoint: text(t, "endpoint"),
		}
	}
	return f
}

func drawQueue(t *rapid.T) *Queue {
	return &Queue{
		Flags: rapid.Uint16Max(queueFlags).Draw(t, "flags"), User: rapid.Uint32().Draw(t, "user"), Name: drawID(t),
		Parallelism: rapid.Uint32().Draw(t, "parallelism"), Created: rapid.Int64().Draw(t, "created"), Updated: rapid.Int64().Draw(t, "updated"),
		Drop: rapid.Uint64().Draw(t, "drop"), Old: rapid.Uint64().Draw(t, "old"), OldLen: rapid.Uint32().Draw(t, "old length"),
	}
}

func drawFlow(t *rapid.T) *Flow {
	return &Flow{
		Flags: rapid.Uint16Max(flowFlags).Draw(t, "flags"), User: rapid.Uint32().Draw(t, "user"), Key: drawID(t), FlowRule: drawRule(t),
		Window: rapid.Int64().Draw(t, "window"), Drawn: rapid.Uint32().Draw(t, "drawn"),
		Old: rapid.Uint64().Draw(t, "old"), OldLen: rapid.Uint32().Draw(t, "old length"),
	}
}

func drawGroup(t *rapid.T) *Group {
	g := &Group{
		User: rapid.Uint32().Draw(t, "user"), Name: drawID(t), Created: rapid.Int64().Draw(t, "created"), Updated: rapid.Int64().Draw(t, "updated"),
		Header: drawHeaders(t), Old: rapid.Uint64().Draw(t, "old"), OldLen: rapid.Uint32().Draw(t, "old length"),
	}
	for range rapid.IntRange(0, 5).Draw(t, "endpoints") {
		g.Endpoints = append(g.Endpoints, Endpoint{URL: text(t, "url"), Name: text(t, "name")})
	}
	return g
}

func drawDropGroup(t *rapid.T) *DropGroup {
	return &DropGroup{User: rapid.Uint32().Draw(t, "user"), Name: drawID(t), Old: rapid.Uint64().Draw(t, "old"), OldLen: rapid.Uint32().Draw(t, "old length")}
}
