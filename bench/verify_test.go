package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// script is a recording in short: lines without the first, the host and the end.
func script(lines ...string) string {
	messages := 0
	for _, l := range lines {
		if strings.HasPrefix(l, "p ") || strings.HasPrefix(l, "a ") {
			messages++
		}
	}
	all := slices.Concat([]string{recordingFormat, "host 0 127.0.0.1:1", "host 1 127.0.0.2:1", "host 2 127.0.0.3:1"}, lines)
	return strings.Join(all, "\n") + fmt.Sprintf("\nend %d\n", messages)
}

func TestVerify(t *testing.T) {
	const queue, two, key = "queue 7 q parallelism=1", "queue 7 q parallelism=2", "key 7 k parallelism=2"
	sent := []string{"p 7 0 1 0 2", "p 7 1 3 0 4", "p 7 2 5 0 6"}
	of := func(lane string, lines ...string) string {
		return script(slices.Concat([]string{lane}, sent, lines)...)
	}
	for name, c := range map[string]struct {
		recording string
		want      error
		line      int // that is named
	}{
		"in order":                    {of(queue, "a 7 0 0 10 20 200", "a 7 1 1 20 30 200", "a 7 2 0 30 40 200"), nil, 0},
		"before the one before":       {of(queue, "a 7 1 0 10 20 200", "a 7 0 0 20 30 200", "a 7 2 0 30 40 200"), ErrOrder, 9},
		"while it is under way":       {of(queue, "a 7 0 0 10 20 200", "a 7 1 0 19 30 200", "a 7 2 0 30 40 200"), ErrOrder, 10},
		"before its retry":            {of(queue, "a 7 0 0 10 20 503", "a 7 1 0 20 30 200", "a 7 0 0 30 40 200", "a 7 2 0 40 50 200"), ErrOrder, 10},
		"after its retry":             {of(queue, "a 7 0 0 10 20 503", "a 7 0 0 20 30 200", "a 7 1 0 30 40 200", "a 7 2 0 40 50 200"), nil, 0},
		"two at a time":               {of(two, "a 7 1 0 10 20 200", "a 7 0 0 15 30 200", "a 7 2 0 20 40 200"), nil, 0},
		"three of two":                {of(two, "a 7 1 0 10 20 200", "a 7 0 0 15 30 200", "a 7 2 0 19 40 200"), ErrOrder, 11},
		"an unknown that came":        {script(queue, "p 7 0 1 0 0", "p 7 1 3 0 4", "a 7 1 0 10 20 200", "a 7 0 0 20 30 200"), ErrOrder, 8},
		"an unknown that did not":     {script(queue, "p 7 0 1 0 0", "p 7 1 3 0 4", "a 7 1 0 10 20 200"), nil, 0},
		"lost":                        {of(queue, "a 7 0 0 10 20 200", "a 7 1 0 20 30 200"), ErrLost, 8},
		"never answered 2xx":          {of(key, "a 7 0 0 10 20 200", "a 7 1 0 20 30 200", "a 7 2 0 20 30 500"), ErrLost, 8},
		"twice":                       {of(key, "a 7 0 0 10 20 200", "a 7 1 0 20 30 200", "a 7 2 0 30 40 200", "a 7 0 0 50 60 200"), ErrTwice, 12},
		"again after an error":        {of(key, "a 7 0 0 10 20 500", "a 7 1 0 20 30 200", "a 7 2 0 30 40 200", "a 7 0 0 50 60 200"), nil, 0},
		"two at one time":             {of(key, "a 7 0 0 10 20 200", "a 7 1 0 15 30 200", "a 7 2 0 20 40 200"), nil, 0},
		"three at one time":           {of(key, "a 7 0 0 10 21 200", "a 7 1 0 15 30 200", "a 7 2 0 20 40 200"), ErrLimit, 11},
		"never published":             {script("plain 7 x", "a 7 3 0 10 20 200"), ErrCorrupt, 6},
		"early":                       {script("plain 7 x", "p 7 0 1 100 2", "a 7 0 0 99 120 200"), ErrEarly, 7},
		"in time":                     {script("plain 7 x", "p 7 0 1 100 2", "a 7 0 0 100 120 200"), nil, 0},
		"each endpoint":               {script("group 7 g endpoints=2", "p 7 0 1 0 2", "a 7 0 0 9 9 200", "a 7 0 1 9 9 200"), nil, 0},
		"an endpoint missing":         {script("group 7 g endpoints=2", "p 7 0 1 0 2", "a 7 0 1 9 9 200"), ErrLost, 6},
		"an endpoint twice":           {script("group 7 g endpoints=2", "p 7 0 1 0 2", "a 7 0 1 9 9 200", "a 7 0 0 9 9 200", "a 7 0 1 10 11 200"), ErrTwice, 9},
		"no endpoint":                 {script("group 7 g endpoints=2", "p 7 0 1 0 2", "a 7 0 1 9 9 200", "a 7 0 0 9 9 200", "a 7 0 2 9 9 200"), ErrCorrupt, 9},
		"another version":             {"tidemill-recording 2\n", ErrRecording, 0},
		"broken off":                  {strings.TrimSuffix(of(queue), "end 3\n"), ErrRecording, 0},
		"lines missing":               {strings.Replace(of(queue), "p 7 1 3 0 4\n", "", 1), ErrRecording, 8},
		"a lane that is not there":    {script("plain 7 x", "p 8 0 1 0 2"), ErrRecording, 6},
		"a host that is not there":    {script("plain 7 x", "p 7 0 1 0 2", "a 7 0 3 1 2 200"), ErrRecording, 7},
		"a field missing":             {script("plain 7 x", "p 7 0 1 0"), ErrRecording, 6},
		"a field too many":            {script("plain 7 x", "a 7 0 0 1 2 200 9"), ErrRecording, 6},
		"no number":                   {script("plain 7 x", "a 7 0 0 1 2 ok"), ErrRecording, 6},
		"a limit that is not known":   {script("queue 7 q slots=3"), ErrRecording, 5},
		"a kind that is not known":    {script("lane 7 q"), ErrRecording, 5},
		"a lane declared twice":       {script("plain 7 x", "plain 7 y"), ErrRecording, 6},
		"something after the end":     {script() + "end 0\n", ErrRecording, 6},
		"nothing":                     {"", ErrRecording, 0},
		"a promise of nothing at all": {script(), nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := VerifyRecording(strings.NewReader(c.recording), VerifyOptions{})
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("error %v, want %v in\n%s", err, c.want, c.recording)
			}
			if c.line > 0 && !strings.Contains(err.Error(), fmt.Sprintf("line %d: ", c.line)) {
				t.Fatalf("error %v, want line %d of\n%s", err, c.line, c.recording)
			}
		})
	}
}

func TestVerifyAllowsDuplicates(t *testing.T) {
	twice := script("queue 7 q", "p 7 0 1 0 2", "a 7 0 0 9 10 200", "a 7 0 0 11 12 200")
	v, err := VerifyRecording(strings.NewReader(twice), VerifyOptions{Duplicates: true})
	if err != nil || v.Duplicates != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
}

// bursts are so many arrivals at each of the moments, in ms.
func bursts(n int, ms ...int) (at []time.Duration) {
	for _, m := range ms {
		for range n {
			at = append(at, time.Duration(m)*time.Millisecond)
		}
	}
	return at
}

func TestWindows(t *testing.T) {
	for name, c := range map[string]struct {
		at      []time.Duration
		sliding bool
		delay   int // ms
		sizes   []int
		bad     int // -1: none
	}{
		"full":                            {bursts(10, 0, 2000, 4000), false, 0, []int{10, 10, 10}, -1},
		"one too many":                    {bursts(11, 0), false, 500, []int{10}, 10},
		"the end of one, then the next":   {slices.Concat(bursts(1, 0), bursts(9, 1999), bursts(10, 2000, 4000)), false, 0, []int{10, 10, 10}, -1},
		"the end of one, twice":           {slices.Concat(bursts(1, 0), bursts(9, 1999), bursts(10, 2000), bursts(1, 3999)), false, 0, []int{10, 10}, 20},
		"late, then in time":              {bursts(10, 0, 2100, 4000), false, 99, []int{10, 10}, 20},
		"late, then in time, as it may":   {bursts(10, 0, 2100, 4000), false, 100, []int{10, 10, 10}, -1},
		"a little too soon each time":     {bursts(10, 0, 1900, 3800, 5700), false, 250, []int{10, 10, 10}, 30},
		"half used":                       {bursts(5, 0, 2000, 4000), false, 0, []int{5, 5, 5}, -1},
		"a pause":                         {bursts(10, 0, 7000, 9000), false, 0, []int{10, 10, 10}, -1},
		"sliding":                         {bursts(10, 0, 2000, 4000), true, 0, []int{10, 10, 10}, -1},
		"sliding, one end and one begin":  {slices.Concat(bursts(1, 0), bursts(9, 1999), bursts(10, 2000)), true, 500, []int{10, 1}, 11},
		"sliding, spread":                 {bursts(1, 0, 200, 400, 600, 800, 1000, 1200, 1400, 1600, 1800, 2000, 2200), true, 0, []int{10, 2}, -1},
		"sliding, late and then in time":  {bursts(10, 100, 2000), true, 99, []int{10}, 10},
		"sliding, late and then in time+": {bursts(10, 100, 2000), true, 100, []int{10, 10}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			l := lane{rate: 10, period: 2 * time.Second, sliding: c.sliding}
			if c.bad < 0 {
				c.bad = len(c.at)
			}
			sizes, bad := l.windows(c.at, time.Duration(c.delay)*time.Millisecond)
			if bad != c.bad || !slices.Equal(sizes, c.sizes) {
				t.Fatalf("windows of %v, and %d explained; want %v and %d", sizes, bad, c.sizes, c.bad)
			}
		})
	}
}

// TestWindowsExplain: whatever a server that keeps the limits sends, with whatever delays,
// is explained by a tolerance of the longest; and of no window too much is said to be used.
func TestWindowsExplain(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := lane{rate: 1 + r.IntN(6), period: 100 * time.Millisecond, sliding: r.IntN(2) == 0}
		delay := time.Duration(1+r.IntN(60)) * time.Millisecond
		var began, at []time.Duration
		now, window, used := time.Duration(0), time.Duration(-1e9), 0
		for range 60 {
			if r.IntN(3) == 0 {
				now += time.Duration(r.IntN(80)) * time.Millisecond
			}
			if k := len(began) - l.rate; l.sliding && k >= 0 {
				now = max(now, began[k]+l.period)
			}
			if !l.sliding {
				if used == l.rate {
					now = max(now, window+l.period)
				}
				if now >= window+l.period {
					window, used = now, 0
				}
				used++
			}
			began = append(began, now)
			at = append(at, now+time.Duration(r.Int64N(int64(delay)+1)))
		}
		slices.Sort(at)
		sizes, bad := l.windows(at, delay)
		if bad < len(at) || slices.Max(sizes) > l.rate {
			t.Fatalf("seed %d: %+v, delay %v: %d of %v explained, by windows of %v; they began at %v", seed, l, delay, bad, at, sizes, began)
		}
	}
}

// TestRecorderIsBounded: a recording that is not complete is an error, and no less.
func TestRecorderIsBounded(t *testing.T) {
	r, err := newRecorder(nil)
	if err != nil {
		t.Fatal(err)
	}
	r.chunks = make([][]byte, recordChunks)
	r.published(0, promise{})
	if _, err := r.cut(); !errors.Is(err, errRecordFull) {
		t.Fatalf("error %v", err)
	}
}

// broken is a disk that is full.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestRecorderTellsOfItsFile(t *testing.T) {
	o := quickQueues(new(fakeLine))
	o.Record = broken{}
	if _, err := Queues(t.Context(), o); err == nil || !strings.Contains(err.Error(), "write the recording: no space left") {
		t.Fatalf("error %v", err)
	}
}
