package record

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// openAny decodes a payload and opens the body of a message, as everyone who
// delivers or shows it does.
func openAny(p []byte) error {
	v, err := decodeAny(p)
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *Message:
		_, err = v.OpenBody(nil)
	case *Move:
		err = openAny(v.Record)
	case *Schedule:
		err = openAny(v.Message)
	case *Fanout:
		err = openAny(v.Message)
	}
	return err
}

// TestTruncated cuts a record of each type at every byte. Only the response's
// body of an outcome has no length of its own: cutting there is for the log's
// checksum to find.
func TestTruncated(t *testing.T) {
	for name, p := range samples() {
		if err := openAny(p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		end := len(p)
		if name == "outcome" || name == "outcome-line" || name == "move-line" {
			end -= len(sampleOutcome().Body)
		}
		for n := range end {
			if err := openAny(p[:n:n]); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s: %d of %d bytes: %v", name, n, len(p), err)
			}
		}
	}
}

func TestTruncatedFrame(t *testing.T) {
	var m Message
	body := jsonBody(4 << 10)
	m.SetBody(body, nil)
	if m.Flags&FlagZstd == 0 {
		t.Fatal("the body was not compressed")
	}
	p := m.Append(nil)
	for n := range p {
		if openAny(p[:n:n]) == nil {
			t.Errorf("%d of %d bytes were accepted", n, len(p))
		}
	}
}

// TestUnknown: what a later version writes is refused, not dropped.
func TestUnknown(t *testing.T) {
	change := func(name string, at int, b ...byte) []byte {
		p := samples()[name]
		copy(p[at:], b)
		return p
	}
	for name, p := range map[string][]byte{
		"type 0":                         change("message", 0, 0),
		"a type of later versions":       change("message", 0, byte(TypeDropGroup+1)),
		"a type between two ranges":      change("message", 0, byte(TypeJob+1)),
		"a type behind the fan-outs":     change("message", 0, byte(TypeFanout+1)),
		"queue version 2":                change("queue", 1, 2),
		"queue flag 3":                   change("queue", 2, 8),
		"flow version 2":                 change("flow", 1, 2),
		"flow flag 3":                    change("flow", 2, 8),
		"flow, more than sliding":        change("flow", flowHead+2+12, 2),
		"group version 2":                change("group", 1, 2),
		"group flag":                     change("group", 2, 1),
		"dropgroup version 2":            change("dropgroup", 1, 2),
		"dropgroup flag":                 change("dropgroup", 2, 1),
		"fanout version 2":               change("fanout", 1, 2),
		"fanout flag":                    change("fanout", 2, 1),
		"token version 2":                change("token", 1, 2),
		"token flag 1":                   change("token", 2, 2),
		"token access 3":                 change("token", 24, AccessRead+1),
		"token bytes 25 to 27":           change("token", 27, 1),
		"token with another field":       withTokenField(tagReservedWorkflow),
		"droptoken version 2":            change("droptoken", 1, 2),
		"droptoken flag":                 change("droptoken", 2, 1),
		"droptoken with fields":          append(samples()["droptoken"], byte(tagName), 0),
		"dropuser version 2":             change("dropuser", 1, 2),
		"dropuser flag":                  change("dropuser", 2, 1),
		"dropuser bytes 12 to 15":        change("dropuser", 15, 1),
		"dropuser with fields":           append(samples()["dropuser"], byte(tagName), 0),
		"type 255":                       change("message", 0, 255),
		"version 0":                      change("message", 1, 0),
		"message version 2":              change("message", 1, 2),
		"outcome version 2":              change("outcome", 1, 2),
		"user version 2":                 change("user", 1, 2),
		"dropdead version 3":             change("dropdead", 1, 3),
		"method":                         change("message", 54, byte(len(methods))),
		"outcome kind 0":                 change("outcome", 80, 0),
		"outcome kind 5":                 change("outcome", 80, byte(Canceled)+1),
		"message flag 4":                 change("message", 2, 16),
		"message flag 15":                change("message", 3, 0x80),
		"outcome flag 2":                 change("outcome", 2, 4),
		"user flag":                      change("user", 3, 1),
		"dropdead flag":                  change("dropdead", 2, 2),
		"message byte 55":                change("message", 55, 1),
		"outcome byte 81":                change("outcome", 81, CallbacksMax+1),
		"outcome bytes 92 to 95":         change("outcome", 95, 1),
		"user flag of byte 16":           change("user", 16, 2),
		"user bytes 17 to 19":            change("user", 18, 1),
		"move version 2":                 change("move", 1, 2),
		"move flag 2":                    change("move", 2, 4),
		"move of kind 0":                 change("move", 82, 0),
		"move of kind 4":                 change("move", 82, byte(MoveDeadOutcome)+1),
		"move of another type":           change("move", 82, byte(MoveDeadOutcome)),
		"move bytes 83 to 87":            change("move", 87, 1),
		"move of a move":                 change("move", moveHead, byte(TypeMove)),
		"schedule version 2":             change("schedule", 1, 2),
		"schedule flag 2":                change("schedule", 2, 4),
		"dropschedule version 2":         change("dropschedule", 1, 2),
		"dropschedule flag":              change("dropschedule", 2, 1),
		"tick version 2":                 change("tick", 1, 2),
		"tick flag":                      change("tick", 2, 1),
		"tick, more than true":           change("tick", 76, 2),
		"schedule of an outcome":         withMessage(samples()["outcome"]),
		"schedule of a schedule":         withMessage(samples()["schedule"]),
		"schedule of a later message":    withMessage(withField("message", tagReservedWorkflow)),
		"schedule of a message's flag 4": withMessage(change("message", 2, 16)),
		"dropdead with fields":           append(samples()["dropdead"], byte(tagName), 0),
		"user with another field":        append(samples()["user"], byte(tagReservedWorkflow), 0),
	} {
		if err := openAny(p); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// withMessage returns a schedule that publishes p.
func withMessage(p []byte) []byte {
	s := sampleSchedule()
	s.Message = p
	return s.Append(nil)
}

// TestZeroBytes: each byte of a head that this version has no use for must be zero.
func TestZeroBytes(t *testing.T) {
	for name, parts := range map[string][][2]int{
		"message":      {{55, 56}},
		"outcome":      {{92, outcomeHead}},
		"user":         {{17, userHead}},
		"move":         {{83, moveHead}},
		"schedule":     {{86, 88}, {100, scheduleHead}},
		"dropschedule": {{20, dropScheduleHead}},
		"tick":         {{77, tickHead}},
		"dropgroup":    {{20, dropGroupHead}},
		"fanout":       {{12, fanoutHead}},
	} {
		for _, part := range parts {
			for at := part[0]; at < part[1]; at++ {
				p := samples()[name]
				p[at] = 1
				if err := openAny(p); !errors.Is(err, ErrUnknown) {
					t.Errorf("%s, byte %d: %v", name, at, err)
				}
			}
		}
	}
}

// TestUnknownTags tries all tags on all types with fields: a type takes its own
// and no others.
func TestUnknownTags(t *testing.T) {
	known := map[string]string{
		"message":      string([]byte{1, 2, 3, 4, 5, 6, 7, 32, 33, 34, 35, 36, 37, 38, 39, 40, 43, 44, 45, 49, 50}),
		"message-tick": string([]byte{1, 2, 3, 4, 5, 6, 7, 32, 33, 34, 35, 36, 37, 38, 39, 40, 43, 44, 45, 49, 50}),
		"outcome":      string([]byte{8, 9, 10, 15, 37, 44, 46, 48}),
		"user":         string([]byte{11, 12, 13, 14}),
		"schedule":     string([]byte{6, 8, 35, 42}),
		"dropschedule": string([]byte{35}),
		"tick":         string([]byte{35, 8}),
		"queue":        string([]byte{32}),
		"flow":         string([]byte{36}),
		"group":        string([]byte{1, 2, 3, 33, 34}),
		"dropgroup":    string([]byte{33}),
	}
	for name, tags := range known {
		for tag := range 256 {
			if strings.IndexByte(tags, byte(tag)) >= 0 {
				continue
			}
			if err := openAny(withField(name, Tag(tag))); !errors.Is(err, ErrUnknown) {
				t.Errorf("%s with a field %d: %v", name, tag, err)
			}
		}
	}
}

// withField returns a record of a type with one more, empty field.
func withField(name string, tag Tag) []byte {
	field := []byte{byte(tag), 0}
	switch p := samples()[name]; name {
	case "message", "message-tick":
		le.PutUint32(p[60:], le.Uint32(p[60:])+2)
		return bytes.Join([][]byte{p[:messageHead], field, p[messageHead:]}, nil)
	case "schedule":
		le.PutUint32(p[96:], le.Uint32(p[96:])+2)
		return bytes.Join([][]byte{p[:scheduleHead], field, p[scheduleHead:]}, nil)
	case "group":
		le.PutUint32(p[36:], le.Uint32(p[36:])+2)
		return append(p, field...)
	case "outcome":
		le.PutUint32(p[84:], le.Uint32(p[84:])+2)
		return bytes.Join([][]byte{p[:outcomeHead], field, p[outcomeHead:]}, nil)
	default:
		return append(p, field...)
	}
}

// TestSpecialRefusesUnknownTags: the applier reads no more of a message than
// Special does, and must not let a later version's message pass as one of ours.
func TestSpecialRefusesUnknownTags(t *testing.T) {
	h, err := HeadOfMessage(withField("message", tagReservedWorkflow))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.Special(); !errors.Is(err, ErrUnknown) {
		t.Fatalf("a message of a queue: %v", err)
	}
}

// TestMalformedFields: fields that no version writes.
func TestMalformedFields(t *testing.T) {
	message := func(fields ...byte) []byte {
		m := Message{}
		p := m.Append(nil)[:messageHead]
		le.PutUint32(p[60:], uint32(len(fields)))
		return append(p, fields...)
	}
	name, value := byte(tagHeaderName), byte(tagHeaderVal)
	for what, p := range map[string][]byte{
		"tag without a length":       message(1),
		"length without its bytes":   message(1, 5, 'a'),
		"length that does not end":   message(1, 0xFF),
		"length of more than 64 bit": message(1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1),
		"name without value":         message(name, 0),
		"two names":                  message(name, 0, name, 0, value, 0),
		"value without name":         message(value, 0),
		"short dedup key":            message(byte(tagDedupKey), 1, 0),
		"long dedup key":             message(append([]byte{byte(tagDedupKey), 17}, make([]byte, 17)...)...),
		"short dead letter":          message(byte(tagFromDead), 1, 0),
		"long dead letter":           message(append([]byte{byte(tagFromDead), 9}, make([]byte, 9)...)...),
		"short tick":                 message(append([]byte{byte(tagTick), 15, 1}, make([]byte, 14)...)...),
		"long tick":                  message(append([]byte{byte(tagTick), 17, 1}, make([]byte, 16)...)...),
	} {
		if err := openAny(p); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestScheduleFields: each field stands once, whatever else there is, and the id of a
// schedule says something.
func TestScheduleFields(t *testing.T) {
	id, cron, text := appendField(nil, tagSchedule, "a"), appendField(nil, tagCron, "* * * * *"), appendField(nil, tagError, "why")
	schedule := func(fields ...[]byte) []byte {
		fs := bytes.Join(fields, nil)
		p := samples()["schedule"][:scheduleHead]
		le.PutUint32(p[96:], uint32(len(fs)))
		return bytes.Join([][]byte{p, fs, samples()["message"]}, nil)
	}
	drop := func(fields ...[]byte) []byte {
		return append(samples()["dropschedule"][:dropScheduleHead], bytes.Join(fields, nil)...)
	}
	tick := func(fields ...[]byte) []byte {
		return append(samples()["tick"][:tickHead], bytes.Join(fields, nil)...)
	}
	none := appendField(nil, tagSchedule, "")
	key := func(n int) []byte { return appendField(nil, tagDedupKey, make([]byte, n)) }
	for what, c := range map[string]struct {
		p  []byte
		ok bool
	}{
		"schedule": {schedule(id, cron), true}, "schedule, the other way round": {schedule(cron, id), true},
		"schedule without an id": {schedule(cron), false}, "schedule without an expression": {schedule(id), false},
		"schedule with two ids": {schedule(id, id, cron), false}, "schedule with two expressions": {schedule(id, cron, cron), false},
		"schedule with a key": {schedule(id, cron, key(16)), true}, "schedule with two keys": {schedule(id, cron, key(16), key(16)), false},
		"schedule with a short key": {schedule(id, cron, key(15)), false}, "schedule with a long key": {schedule(id, cron, key(17)), false},
		"schedule with an empty id": {schedule(none, cron), false},
		"drop":                      {drop(id), true}, "drop of nothing": {drop(), false}, "drop of two": {drop(id, id), false}, "drop of an empty id": {drop(none), false},
		"tick": {tick(id, text), true}, "tick without an id": {tick(text), false}, "tick without a text": {tick(id), false},
		"tick with two texts": {tick(id, text, text), false}, "tick with an empty id": {tick(none, text), false},
	} {
		if err := openAny(c.p); c.ok && err != nil || !c.ok && !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTickOfMessage: a message is a tick if its flag, its schedule and the tick's time
// say so, and none of them alone.
func TestTickOfMessage(t *testing.T) {
	plain := Message{URL: "http://a.example/"}
	id := appendField(nil, tagSchedule, "a")
	k := ScheduleTick{Time: 1, Next: 2}
	tick, never := k.append(nil), (&ScheduleTick{Next: 2}).append(nil)
	for what, c := range map[string]struct {
		flags  uint16
		fields [][]byte
		err    error
	}{
		"none":                      {0, nil, nil},
		"of a schedule":             {0, [][]byte{id}, nil},
		"a tick":                    {FlagTick, [][]byte{id, tick}, nil},
		"the other way round":       {FlagTick, [][]byte{tick, id}, nil},
		"without its flag":          {0, [][]byte{id, tick}, ErrTruncated},
		"the flag alone":            {FlagTick, nil, ErrTruncated},
		"without its schedule":      {FlagTick, [][]byte{tick}, ErrTruncated},
		"of no id":                  {FlagTick, [][]byte{appendField(nil, tagSchedule, ""), tick}, ErrTruncated},
		"without the tick":          {FlagTick, [][]byte{id}, ErrTruncated},
		"without a time":            {FlagTick, [][]byte{id, never}, ErrTruncated},
		"without a time, and flag":  {0, [][]byte{id, never}, ErrTruncated},
		"another version's flag":    {FlagTick | messageFlags + 1, [][]byte{id, tick}, ErrUnknown},
		"of another version's tags": {FlagTick, [][]byte{id, tick, {byte(tagReservedWorkflow), 0}}, ErrUnknown},
	} {
		p := plain.Append(nil)
		fs := bytes.Join(c.fields, nil)
		le.PutUint16(p[2:], c.flags)
		le.PutUint32(p[60:], le.Uint32(p[60:])+uint32(len(fs)))
		p = append(p, fs...)
		var m Message
		if err := DecodeMessage(p, &m); !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s: %v", what, err)
		}
		checkMessageHead(t, p, &m, c.err)
		if h, err := HeadOfMessage(p); err == nil && c.flags&FlagTick != 0 && errors.Is(c.err, ErrTruncated) {
			if _, _, _, err := h.Tick(); !errors.Is(err, ErrTruncated) {
				t.Errorf("%s, the head alone: %v", what, err)
			}
		}
	}
}

func TestMethods(t *testing.T) {
	for _, name := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if m, ok := ParseMethod(name); !ok || m.String() != name {
			t.Errorf("%s: %v, %v", name, m, ok)
		}
	}
	for _, name := range []string{"", "get", "HEAD", "OPTIONS", "CONNECT", "TRACE", "POST "} {
		if m, ok := ParseMethod(name); ok {
			t.Errorf("%q is taken for %v", name, m)
		}
	}
	if s := Method(200).String(); s != "Method(200)" {
		t.Error(s)
	}
	if m, _ := ParseMethod("POST"); m != 0 {
		t.Error("POST, the default, is not the zero Method")
	}
}

func TestKinds(t *testing.T) {
	for k, want := range map[Kind]string{Delivered: "delivered", Retry: "retry", Dead: "dead", Canceled: "canceled", 9: "Kind(9)"} {
		if k.String() != want || k.Final() != (k != Retry) {
			t.Errorf("%d: %s, final %v", uint8(k), k, k.Final())
		}
	}
}
