package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/wal/powerfs"
)

// mustReplay starts a replay.
func mustReplay(t *testing.T, e *Engine, u UserID, r Replay) string {
	t.Helper()
	id, err := e.StartReplay(u, &r)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// replayEnded waits for the end of a replay.
func replayEnded(t *testing.T, e *Engine, u UserID, id string) *ReplayInfo {
	t.Helper()
	return waitFor(t, func() *ReplayInfo {
		info, err := e.Replay(u, id)
		if err != nil {
			t.Fatal(err)
		}
		if info.State == ReplayRunning {
			return nil
		}
		return info
	})
}

func (r *ReplayInfo) counts() string {
	return fmt.Sprintf("%s %d %d %d %d", r.State, r.Matched, r.Replayed, r.Expired, r.Failed)
}

// arrived returns the attempts since the last call, once there are as many as n and
// nothing is under way.
func (w *fakeWire) arrived(t *testing.T, n int) (got []fakeAttempt) {
	t.Helper()
	for range n {
		got = append(got, w.next(t))
	}
	synctest.Wait()
	if len(w.arrive) > 0 {
		t.Errorf("%d attempts more than %d", len(w.arrive), n)
	}
	return got
}

// TestReplay: what was delivered and is selected is published once more, with all its
// options, as new messages that name the old ones; nothing else is.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := newFakeWire()
		wire.reply = func(a *fakeAttempt, r *dispatch.Result) {
			if strings.Contains(a.url, "fails") {
				r.Status = 500
			}
		}
		e := open(t, testOptions(powerfs.New(), wire))
		if err := e.Bootstrap([]Account{testAccount, {ID: 2, Name: "two", Token: "token two", Keys: testAccount.Keys}}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		full := Publish{
			URL: "http://a.example/x?y=1", Method: 2, Body: []byte(strings.Repeat("hello ", 100)), Header: []Header{{Name: "X-Own", Value: "1"}}, CallerIP: "192.0.2.9",
			Retries: 7, RetryDelay: "1000", Queue: "line", Labels: []string{"blue", "big"}, DedupID: "once", Timeout: 9 * time.Second,
		}
		first := publish(t, e, full)
		wire.next(t)
		time.Sleep(time.Minute)
		second := publish(t, e, Publish{URL: "http://b.example/", Labels: []string{"blue"}})
		other := publish(t, e, Publish{User: 2, URL: "http://b.example/", Labels: []string{"blue"}})
		publish(t, e, Publish{URL: "http://fails.example/", Labels: []string{"blue"}, Retries: 0})
		publish(t, e, Publish{URL: "http://b.example/", Labels: []string{"blue"}, Delay: time.Hour})
		publish(t, e, Publish{URL: "http://b.example/", Callback: &Callback{URL: "http://c.example/", Retries: 3}})
		wire.arrived(t, 5)
		time.Sleep(time.Minute)

		id := mustReplay(t, e, 1, Replay{Filter: Filter{Labels: []string{"blue"}}, Rate: 100})
		got := wire.arrived(t, 2)
		slices.SortFunc(got, func(a, b fakeAttempt) int { return strings.Compare(a.url, b.url) })
		if of := []string{got[0].header[ReplayOfHeader], got[1].header[ReplayOfHeader]}; !slices.Equal(of, []string{first, second}) {
			t.Errorf("replayed are %v, want %v", of, []string{first, second})
		}
		a := got[0]
		if a.url != full.URL || a.method != "PUT" || string(a.body) != string(full.Body) || a.header["X-Own"] != "1" || a.header["Upstash-Caller-Ip"] != "192.0.2.9" ||
			a.header["Upstash-Message-Id"] == first || a.header["Upstash-Retried"] != "0" {
			t.Errorf("delivered %+v", a)
		}
		info := replayEnded(t, e, 1, id)
		if info.counts() != "done 2 2 0 0" || info.Position.Sub(begin).Round(time.Second) != time.Minute || info.Rate != 100 || info.Labels()[0] != "blue" {
			t.Errorf("%+v", info)
		}
		evs := allEvents(t, e, EventQuery{User: 1, Filter: Filter{MessageIDs: []string{a.header["Upstash-Message-Id"]}}, Earliest: true})
		if len(evs) == 0 || evs[0].QueueName != "line" || evs[0].Retries != 7 {
			t.Errorf("the new message: %+v", evs)
		}

		for what, c := range map[string]struct {
			filter Filter
			want   []string
		}{
			"a time":       {Filter{From: begin, To: begin.Add(time.Second)}, []string{first}},
			"a URL":        {Filter{URLs: []string{"http://a.example/x?y=1"}, To: begin.Add(time.Second)}, []string{first}},
			"a host":       {Filter{Hosts: []string{"b.example"}, Labels: []string{"blue"}, To: begin.Add(time.Minute)}, []string{second}},
			"an id":        {Filter{MessageIDs: []string{second}}, []string{second}},
			"another's id": {Filter{MessageIDs: []string{other}}, nil},
			"nothing":      {Filter{Labels: []string{"red"}}, nil},
			"the future":   {Filter{From: time.Now().Add(time.Hour)}, nil},
		} {
			id := mustReplay(t, e, 1, Replay{Filter: c.filter, Rate: ReplayRateMax, URL: "http://new.example/z"})
			var of []string
			for _, a := range wire.arrived(t, len(c.want)) {
				of = append(of, a.header[ReplayOfHeader])
				if a.url != "http://new.example/z" {
					t.Errorf("%s: delivered to %s", what, a.url)
				}
			}
			info := replayEnded(t, e, 1, id)
			if !slices.Equal(of, c.want) || info.Replayed != uint64(len(c.want)) || info.Matched != info.Replayed {
				t.Errorf("%s: replayed %v, want %v: %+v", what, of, c.want, info)
			}
		}
		if _, err := e.Replay(2, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("another account's: %v", err)
		}
		if err := e.StopReplay(2, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("stopped by another account: %v", err)
		}
		if list, err := e.Replays(2); err != nil || len(list) != 0 {
			t.Errorf("another account sees %+v, %v", list, err)
		}
		if list, err := e.Replays(1); err != nil || len(list) != 8 || list[7].ID != id {
			t.Errorf("%d replays, %v", len(list), err)
		}
	})
}

// Labels returns the filter's labels, for tests.
func (r *ReplayInfo) Labels() []string { return append(r.Filter.Labels, "none") }

// TestReplayRate: a replay publishes as many in a second as it may, stops when it is
// told to, and what it has done is there after a restart.
func TestReplayRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := newFakeWire()
		o := testOptions(powerfs.New(), wire)
		e := open(t, o)
		const messages, rate = 200, 10
		for range messages {
			publish(t, e, Publish{Labels: []string{"l"}})
		}
		wire.arrived(t, messages)
		time.Sleep(time.Second)
		all := Filter{Labels: []string{"l"}, To: time.Now()}
		id := mustReplay(t, e, 1, Replay{Filter: all, Rate: rate})
		time.Sleep(5*time.Second + replayTick)
		if n := len(wire.arrive); n < 5*rate-1 || n > 5*rate+2 {
			t.Errorf("%d in 5 s, want %d", n, 5*rate)
		}
		closeEngine(t, e)
		before := len(wire.arrive)
		e = open(t, o) // it goes on
		time.Sleep(5 * time.Second)
		if n := len(wire.arrive) - before; n < 5*rate-1 || n > 5*rate+2 {
			t.Errorf("%d in 5 s after a restart, want %d", n, 5*rate)
		}
		if err := e.StopReplay(1, id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		done := len(wire.arrive)
		time.Sleep(10 * time.Second)
		info := replayEnded(t, e, 1, id)
		if len(wire.arrive) != done || info.State != ReplayStopped || info.Replayed != uint64(done) {
			t.Errorf("%d after it was stopped at %d: %+v", len(wire.arrive), done, info)
		}
		of := map[string]int{}
		for range done {
			of[wire.next(t).header[ReplayOfHeader]]++
		}
		if len(of) != done {
			t.Errorf("%d different messages among %d", len(of), done)
		}
		if err := e.StopReplay(1, id); err != nil {
			t.Errorf("stopped again: %v", err)
		}
		closeEngine(t, e)
		e = open(t, o)
		if again := replayEnded(t, e, 1, id); again.counts() != info.counts() || !again.Position.Equal(info.Position) {
			t.Errorf("after a restart %+v, before %+v", again, info)
		}
		closeEngine(t, e)
	})
}

// TestReplayOverACrash: what the last record of a replay does not say is known by the
// messages that it has published: none is replayed twice.
func TestReplayOverACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire, fs := newFakeWire(), powerfs.New()
		e := open(t, testOptions(fs, wire))
		const messages = 300
		for range messages {
			publish(t, e, Publish{Labels: []string{"l"}})
		}
		wire.arrived(t, messages)
		time.Sleep(time.Second)
		id := mustReplay(t, e, 1, Replay{Filter: Filter{Labels: []string{"l"}, To: time.Now()}, Rate: 40})
		time.Sleep(2530 * time.Millisecond) // between two bursts, and their outcomes are logged
		synctest.Wait()
		crashed := fs.Cut(1, 0, 512)
		published := len(wire.arrive)
		closeEngine(t, e)
		for len(wire.arrive) > 0 {
			wire.next(t)
		}
		second := newFakeWire()
		e = open(t, testOptions(crashed, second))
		time.Sleep(20 * time.Second)
		info := replayEnded(t, e, 1, id)
		if n := len(second.arrive); info.State != ReplayDone || info.Replayed != messages || n != messages-published {
			t.Errorf("%d before the crash, %d after it, of %d: %+v", published, n, messages, info)
		}
		closeEngine(t, e)
	})
}

// TestReplayRefusals: what is asked for wrongly, or too often, is refused, and the oldest
// that has ended makes room for a new one.
func TestReplayRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire := newFakeWire()
		e := open(t, testOptions(powerfs.New(), wire))
		now := time.Now()
		label := Filter{Labels: []string{"l"}}
		for _, c := range []struct {
			r    Replay
			want string
		}{
			{Replay{Filter: label}, "rate"},
			{Replay{Filter: label, Rate: ReplayRateMax + 1}, "rate"},
			{Replay{Rate: 1}, "filter"},
			{Replay{Rate: 1, Filter: Filter{Labels: make([]string, ReplayValuesMax+1)}}, "values"},
			{Replay{Rate: 1, Filter: Filter{Labels: []string{strings.Repeat("l", ReplayFilterMax+1)}}}, "bytes"},
			{Replay{Rate: 1, Filter: Filter{From: now, To: now.Add(-1)}}, "fromDate"},
			{Replay{Rate: 1, Filter: label, URL: "nowhere"}, "destination"},
		} {
			_, err := e.StartReplay(1, &c.r)
			if limit, ok := errors.AsType[*LimitError](err); !ok || limit.Quota || !strings.Contains(limit.Text, c.want) {
				t.Errorf("%+v: %v, want %q", c.r, err, c.want)
			}
		}
		for range 50 {
			publish(t, e, Publish{Labels: []string{"l"}})
		}
		wire.arrived(t, 50)
		time.Sleep(time.Second)
		var ids []string
		for range ReplaysRunningMax {
			ids = append(ids, mustReplay(t, e, 1, Replay{Filter: label, Rate: 1}))
		}
		_, err := e.StartReplay(1, &Replay{Filter: label, Rate: 1})
		if limit, ok := errors.AsType[*LimitError](err); !ok || !limit.Quota {
			t.Errorf("one more than may run: %v", err)
		}
		mustReplay(t, e, 2, Replay{Filter: label, Rate: 1}) // another account has its own
		for _, id := range ids {
			if err := e.StopReplay(1, id); err != nil {
				t.Fatal(err)
			}
		}
		for range ReplaysKeptMax {
			replayEnded(t, e, 1, mustReplay(t, e, 1, Replay{Filter: Filter{Labels: []string{"none"}}, Rate: 1}))
		}
		list, err := e.Replays(1)
		if err != nil || len(list) != ReplaysKeptMax {
			t.Errorf("%d are kept, %v", len(list), err)
		}
		if _, err := e.Replay(1, ids[0]); !errors.Is(err, ErrNotFound) {
			t.Errorf("the oldest: %v", err)
		}
	})
}

// TestReplayOfADeletedAccount: an account with a replay that runs is in use; what is left
// of one's replays goes with it.
func TestReplayOfADeletedAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wire, fs := newFakeWire(), powerfs.New()
		o := testOptions(fs, wire)
		e := open(t, o)
		a, err := e.CreateUser("short-lived")
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			publish(t, e, Publish{User: a.ID, Labels: []string{"l"}})
		}
		wire.arrived(t, 20)
		time.Sleep(time.Second)
		id := mustReplay(t, e, a.ID, Replay{Filter: Filter{Labels: []string{"l"}}, Rate: 1})
		time.Sleep(2500 * time.Millisecond)
		if err := e.DeleteUser(a.ID); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "replays that are running") {
			t.Errorf("deleted with a replay that runs: %v", err)
		}
		if err := e.StopReplay(a.ID, id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := e.DeleteUser(a.ID); err != nil {
			t.Fatal(err)
		}
		closeEngine(t, e)
		e = open(t, o)
		if list, err := e.Replays(a.ID); err != nil || len(list) != 0 {
			t.Errorf("after its end: %+v, %v", list, err)
		}
		closeEngine(t, e)
	})
}
