package httpapi

import (
	"bufio"
	"fmt"
	"slices"
	"testing"
)

func TestFamilyOf(t *testing.T) {
	for path, want := range map[string]Family{
		"/v2/publish/http://h":             FamilyPublish,
		"/V2/Enqueue/q/http://h":           FamilyPublish,
		"/v1/publish":                      FamilyPublish,
		"/v2/batch":                        FamilyBatch,
		"/v2/messages/msg_1":               FamilyMessages,
		"/v2/dlq":                          FamilyDead,
		"/v2/queues/":                      FamilyQueues,
		"/v2/schedules/s":                  FamilySchedules,
		"/v2/topics":                       FamilyGroups,
		"/v2/flowControl":                  FamilyFlow,
		"/v2/globalParallelism":            FamilyFlow,
		"/v2/events":                       FamilyEvents,
		"/v2/replay":                       FamilyEvents,
		"/v2/users":                        FamilyAccounts,
		"/v2/keys/rotate":                  FamilyAccounts,
		"/v2/stats":                        FamilyStats,
		"/v2/readiness":                    FamilyHealth,
		"/healthz":                         FamilyHealth,
		"/v1/queues/jobs/messages":         FamilyPull,
		"/v1/tasks":                        FamilyV1,
		"/v2/secrets":                      FamilyOther,
		"/v2/a-name-longer-than-any-of-it": FamilyOther,
		"/dashboard":                       FamilyOther,
		"/":                                FamilyOther,
		"":                                 FamilyOther,
	} {
		if got := familyOf([]byte(path)); got != want {
			t.Errorf("%s is about %s, want %s", path, got, want)
		}
	}
}

// TestEveryFamilyIsKnown: a new route is about something, so that requests for it are not
// among those that nobody knows.
func TestEveryFamilyIsKnown(t *testing.T) {
	for _, path := range []string{
		"publish", "enqueue", "batch", "messages", "dlq", "queues", "schedules", "topics", "flowcontrol", "globalparallelism", "events", "logs",
		"replay", "users", "tokens", "keys", "rotate", "stats", "hosts", "readiness",
	} {
		_, _, fail := matchV2("GET", path, nil)
		if fail == errNoRoute || familyV2(path) == FamilyOther {
			t.Errorf("/v2/%s: %v, about %s", path, fail, familyV2(path))
		}
	}
}

// TestStatsOfServer: answers are counted by what they were about, also those to requests
// that were refused early; of publishes the stages are, and of no others.
func TestStatsOfServer(t *testing.T) {
	s := start(t, nil)
	c := s.dial(t)
	br := bufio.NewReader(c)
	for i := range 2 * timedEach {
		fmt.Fprint(c, requestBody("POST /v2/publish/http://h", "x"))
		if a := readAnswer(t, br, "POST"); a.StatusCode != 200 {
			t.Fatalf("request %d: status %d", i, a.StatusCode)
		}
	}
	fmt.Fprint(c, request("GET /v2/messages/msg_one"))
	readAnswer(t, br, "GET")
	waitFor(t, func() bool { return s.Stats().Answers[FamilyMessages][2] == 1 })
	if got := s.Stats(); got.Conns != 1 || got.ConnsMax != 16<<10 {
		t.Errorf("%d connections of %d", got.Conns, got.ConnsMax)
	}
	for _, r := range []string{
		request("GET /v2/messages/msg_none"), request("GET /v2/messages/msg_panic"), request("GET /v2/nothing"),
		"GET /v2/dlq HTTP/1.1\r\nHost: t\r\n\r\n", "POST /v2/publish/http://h HTTP/1.1\r\nHost: t\r\n\r\n", "nonsense\r\n\r\n",
	} {
		s.send(t, r)
	}
	waitFor(t, func() bool { return s.Stats().Answers[FamilyOther][4] == 2 })
	got := s.Stats()
	var want [familyCount][6]uint64
	want[FamilyPublish][2], want[FamilyPublish][4] = 2*timedEach, 1
	want[FamilyMessages] = [6]uint64{2: 1, 4: 1, 5: 1}
	want[FamilyDead][4], want[FamilyOther][4] = 1, 2
	if got.Answers != want {
		t.Errorf("answers %v, want %v", got.Answers, want)
	}
	if got.Unauthenticated != 2 || got.Panics != 1 {
		t.Errorf("%d without a token, %d panics; want 2 and 1", got.Unauthenticated, got.Panics)
	}
	if n := []uint64{got.Receive.Count, got.Handle.Count, got.Answer.Count}; !slices.Equal(n, []uint64{2, 2, 2}) {
		t.Errorf("stages %v of %d publishes, want 2 of each", n, 2*timedEach)
	}
}
