package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// opening is what a server says in its log of how it came up, in the line "engine:
// opened". Of the time between its start and its first answer only these parts are told.
type opening struct {
	replayed    int64         // bytes of log past the index's checkpoint
	log, replay time.Duration // to look at the log's end, and to replay
}

// saidTimeout bounds the wait for the line: a log comes through another pipe than the
// line that says that requests are accepted.
const saidTimeout = 10 * time.Second

// awaitOpening waits until said has the line, which must be in JSON, as a server that
// logs to a pipe writes it.
func awaitOpening(ctx context.Context, said func() string) (opening, error) {
	deadline := time.Now().Add(saidTimeout)
	for {
		text := said()
		if o, found, err := parseOpening(text); found || err != nil {
			return o, err
		}
		if time.Now().After(deadline) {
			return opening{}, fmt.Errorf("the server did not log how it opened its data: %s", text)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return opening{}, err
		}
	}
}

func parseOpening(text string) (o opening, found bool, err error) {
	i := strings.LastIndex(text, `"engine: opened"`)
	if i < 0 {
		return o, false, nil
	}
	begin := strings.LastIndexByte(text[:i], '\n') + 1
	line, _, ended := strings.Cut(text[begin:], "\n")
	if !ended && !strings.HasSuffix(line, "}") {
		return o, false, nil // half a line
	}
	var said struct {
		Replayed int64 `json:"replayed_bytes"`
		Log      string
		Replay   string
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		return o, true, fmt.Errorf("the server's log: %w: %s", err, line)
	}
	o.replayed = said.Replayed
	for text, d := range map[string]*time.Duration{said.Log: &o.log, said.Replay: &o.replay} {
		if *d, err = time.ParseDuration(text); err != nil {
			return o, true, fmt.Errorf("the server's log: %w: %s", err, line)
		}
	}
	return o, true, nil
}
