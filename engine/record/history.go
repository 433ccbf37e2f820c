package record

// What the index keeps of a message beyond its end (X6) is taken from the payload
// by the functions of this file, so that the applier parses nothing else.

// Method returns the field of the same name in Message, unchecked.
func (h MessageHead) Method() Method { return Method(h[54]) }

// Retries returns the field of the same name in Message.
func (h MessageHead) Retries() uint16 { return le.Uint16(h[52:]) }

// HistoryFields appends those fields of a message by which events are filtered and
// shown after its record is gone: all of HistoryFields. One longer than limit bytes is
// cut there, and cut is true. member is not nil where the message is the shared one of a
// fan-out: what each member has for itself is taken from there.
func (h MessageHead) HistoryFields(dst []byte, member *MemberHead, limit int) (out []byte, cut bool, err error) {
	take := func(tag Tag, v []byte) {
		cut = cut || len(v) > limit
		dst = appendField(dst, tag, v[:min(len(v), limit)])
	}
	if member != nil {
		take(tagURL, member.URL)
		if len(member.Endpoint) > 0 {
			take(tagEndpoint, member.Endpoint)
		}
	}
	err = fields(h.fields(), func(tag Tag, v []byte) error {
		switch tag {
		case tagURL, tagEndpoint:
			if member == nil {
				take(tag, v)
			}
		case tagCallerIP, tagSchedule, tagQueue, tagTopic, tagLabel:
			take(tag, v)
		case tagFlow:
			_, key, err := cutFlow(v)
			take(tag, key)
			return err
		}
		return nil
	})
	return dst, cut, err
}

// HistoryFields are the decoded form of what MessageHead.HistoryFields took.
type HistoryFields struct {
	URL, CallerIP, Schedule string
	QueueName, FlowKey      string
	TopicName, Endpoint     string
	Labels                  []string // never cut: LabelMax is less than any limit
}

// DecodeHistoryFields decodes the fields of a history row.
func DecodeHistoryFields(p []byte) (f HistoryFields, err error) {
	err = fields(p, func(tag Tag, v []byte) error {
		switch tag {
		case tagURL:
			f.URL = string(v)
		case tagCallerIP:
			f.CallerIP = string(v)
		case tagSchedule:
			f.Schedule = string(v)
		case tagQueue:
			f.QueueName = string(v)
		case tagFlow:
			f.FlowKey = string(v)
		case tagTopic:
			f.TopicName = string(v)
		case tagEndpoint:
			f.Endpoint = string(v)
		case tagLabel:
			f.Labels = append(f.Labels, string(v))
		default:
			return unknownTag(TypeMessage, tag)
		}
		return nil
	})
	return f, err
}

// OutcomeError returns the Error of an encoded outcome, whose head was decoded
// before. It aliases the payload.
func OutcomeError(p []byte) (text []byte, err error) {
	n := int(le.Uint32(p[84:]))
	err = fields(p[outcomeHead:outcomeHead+n], func(tag Tag, v []byte) error {
		if tag == tagError {
			text = v
		}
		return nil
	})
	return text, err
}
