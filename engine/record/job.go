package record

import "fmt"

// JobState says how far a Job is.
type JobState uint8

// The states of a job. One that is gone is not there any more, whatever its record says.
const (
	JobRunning JobState = 1
	JobDone    JobState = 2
	JobStopped JobState = 3 // by its owner
	JobFailed  JobState = 4
	JobGone    JobState = 5
)

// FilterField is what a filter of a job compares.
type FilterField uint8

// The fields of a filter. Numbers are for ever.
const (
	FilterMessage  FilterField = 1
	FilterURL      FilterField = 2
	FilterHost     FilterField = 3
	FilterPath     FilterField = 4
	FilterTopic    FilterField = 5
	FilterQueue    FilterField = 6
	FilterSchedule FilterField = 7
	FilterLabel    FilterField = 8
	FilterFlow     FilterField = 9
	FilterCaller   FilterField = 10
)

// FilterValue is one value that a field may have.
type FilterValue struct {
	Field FilterField
	Value string
}

// jobHead is the length of a Job's fixed head. Offsets:
//
//	  4 user u32       8 id u64        16 created i64    24 updated i64
//	 32 from i64      40 to i64        48 position u64   56 end u64
//	 64 reached i64   72 matched u64   80 replayed u64   88 expired u64
//	 96 failed u64   104 rate u32     108 state u8      109 zero u24
//	112 fields u32   116 zero u32
const jobHead = 120

// Job is the newest state of a replay of delivered messages. The newest record of a user
// and id wins.
type Job struct {
	User    uint32
	ID      uint64
	State   JobState
	Rate    uint32 // messages per second
	Created int64  // unix ms
	Updated int64  // unix ms

	// What is replayed: URL is where to, "" for where each message went.
	From, To int64 // unix ms, inclusive: of the delivery; 0: no bound
	Filter   []FilterValue
	URL      string

	// Where it is: it walks the history from Position to before End, LSNs.
	Position, End uint64
	Reached       int64 // unix ms: when what it looked at last was delivered

	Matched, Replayed, Expired, Failed uint64

	Error string // why it failed, for people
}

// Size returns the number of bytes that Append adds.
func (j *Job) Size() int { return jobHead + j.fieldsSize() }

func (j *Job) fieldsSize() (n int) {
	if j.URL != "" {
		n += fieldSize(len(j.URL))
	}
	if j.Error != "" {
		n += fieldSize(len(j.Error))
	}
	for i := range j.Filter {
		n += fieldSize(1 + len(j.Filter[i].Value))
	}
	return n
}

// Append appends the encoded job to dst. It keeps nothing of j.
func (j *Job) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, jobHead)...)
	h := dst[at:]
	h[0], h[1] = byte(TypeJob), version
	le.PutUint32(h[4:], j.User)
	for i, v := range [...]uint64{
		j.ID, uint64(j.Created), uint64(j.Updated), uint64(j.From), uint64(j.To), j.Position, j.End, uint64(j.Reached),
		j.Matched, j.Replayed, j.Expired, j.Failed,
	} {
		le.PutUint64(h[8+8*i:], v)
	}
	le.PutUint32(h[104:], j.Rate)
	h[108] = byte(j.State)
	le.PutUint32(h[112:], uint32(j.fieldsSize()))
	if j.URL != "" {
		dst = appendField(dst, tagURL, j.URL)
	}
	if j.Error != "" {
		dst = appendField(dst, tagError, j.Error)
	}
	for i := range j.Filter {
		dst = append(appendHeadOf(dst, tagName, 1+len(j.Filter[i].Value)), byte(j.Filter[i].Field))
		dst = append(dst, j.Filter[i].Value...)
	}
	return dst
}

// DecodeJob decodes a payload; it keeps nothing of p.
func DecodeJob(p []byte, j *Job) error {
	if err := check(p, TypeJob, jobHead, 0); err != nil {
		return err
	}
	if err := zero(TypeJob, p[109:112], p[116:jobHead]); err != nil {
		return err
	}
	if n := le.Uint32(p[112:]); uint64(n) != uint64(len(p)-jobHead) {
		return fmt.Errorf("%w: a job with %d bytes of fields, and it has %d", ErrTruncated, n, len(p)-jobHead)
	}
	word := func(i int) uint64 { return le.Uint64(p[8+8*i:]) }
	*j = Job{
		User: le.Uint32(p[4:]), ID: word(0), Created: int64(word(1)), Updated: int64(word(2)),
		From: int64(word(3)), To: int64(word(4)), Position: word(5), End: word(6), Reached: int64(word(7)),
		Matched: word(8), Replayed: word(9), Expired: word(10), Failed: word(11),
		Rate: le.Uint32(p[104:]), State: JobState(p[108]),
	}
	if j.State < JobRunning || j.State > JobGone {
		return fmt.Errorf("%w: job state %d", ErrUnknown, p[108])
	}
	return j.decodeFields(p[jobHead:])
}

func (j *Job) decodeFields(p []byte) error {
	return fields(p, func(tag Tag, v []byte) error {
		switch tag {
		case tagURL:
			j.URL = string(v)
		case tagError:
			j.Error = string(v)
		case tagName:
			if len(v) == 0 {
				return ErrTruncated
			}
			f := FilterField(v[0])
			if f < FilterMessage || f > FilterCaller {
				return fmt.Errorf("%w: a filter of field %d", ErrUnknown, v[0])
			}
			j.Filter = append(j.Filter, FilterValue{f, string(v[1:])})
		default:
			return unknownTag(TypeJob, tag)
		}
		return nil
	})
}
