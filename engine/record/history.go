package record

// What the index keeps of a message beyond its end (X6) is taken from the payload
// by the functions of this file, so that the applier parses nothing else.

// Method returns the field of the same name in Message, unchecked.
func (h MessageHead) Method() Method { return Method(h[54]) }

// Retries returns the field of the same name in Message.
func (h MessageHead) Retries() uint16 { return le.Uint16(h[52:]) }

// HistoryFields appends those fields of a message by which events are filtered and
// shown after its record is gone, encoded as they are: the destination, the caller's
// address and the schedule. One longer than limit bytes is cut there, and cut is true.
func (h MessageHead) HistoryFields(dst []byte, limit int) (out []byte, cut bool, err error) {
	err = fields(h.fields(), func(tag Tag, v []byte) error {
		if tag != tagURL && tag != tagCallerIP && tag != tagSchedule {
			return nil
		}
		cut = cut || len(v) > limit
		dst = appendField(dst, tag, v[:min(len(v), limit)])
		return nil
	})
	return dst, cut, err
}

// HistoryFields are the decoded form of what MessageHead.HistoryFields took.
type HistoryFields struct{ URL, CallerIP, Schedule string }

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
