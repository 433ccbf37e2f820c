package httpapi

import (
	"testing"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// TestLineViews: the objects of queues, groups and keys, byte for byte, and what
// messages, dead letters and schedules show of them.
func TestLineViews(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	message := engine.Message{
		ID: "msg_1", URL: "http://h", Method: "POST", Created: time.UnixMilli(5), ScheduleID: "s", QueueName: "q", Ordering: "user 7", TopicName: "g", Endpoint: "First endpoint",
		Flow:     engine.FlowControl{Key: "k", Parallelism: 5, Rate: 10, Period: time.Hour + 30*time.Minute + 3*time.Second, Sliding: true},
		Callback: &engine.CallbackInfo{URL: "http://c", Header: []engine.Header{{Name: "X", Value: "1"}, {Name: "X", Value: "2"}}}, Failure: &engine.CallbackInfo{URL: "http://f"},
	}
	const (
		base = `"messageId":"msg_1","url":"http://h","method":"POST","maxRetries":0,"notBefore":5,"createdAt":5`
		line = `"topicName":"g","endpointName":"First endpoint","queueName":"q","flowControlKey":"k","parallelism":5,"rate":10,"period":5403,` +
			`"callback":"http://c","callbackHeader":{"X":["1","2"]},"failureCallback":"http://f","tidemill":{"orderingKey":"user 7","flowControlMode":"sliding"}`
	)
	limited := func(f engine.FlowControl) *engine.Message {
		return &engine.Message{ID: "msg_1", URL: "http://h", Method: "POST", Created: time.UnixMilli(5), NotBefore: time.UnixMilli(5), Flow: f}
	}
	message.NotBefore = message.Created
	schedule := bareSchedule
	schedule.URL, schedule.TopicName, schedule.QueueName, schedule.Flow, schedule.Failure = "", "g", "q", engine.FlowControl{Key: "k", Rate: 1, Sliding: true}, message.Failure
	schedule.Time.Seconds = true
	tests := []struct {
		name  string
		write func(o *obj)
		want  string
	}{
		{"queue", func(o *obj) {
			o.queue(&engine.QueueInfo{Name: "q", Parallelism: 3, Created: at, Updated: at.Add(time.Second), Lag: 7, Paused: true})
		}, `{"name":"q","parallelism":3,"createdAt":1700000000123,"updatedAt":1700000001123,"lag":7,"paused":true}`},
		{"empty queue", func(o *obj) { o.queue(&engine.QueueInfo{Name: "q", Parallelism: 1, Created: at, Updated: at}) }, `{"name":"q","parallelism":1,"createdAt":1700000000123,"updatedAt":1700000000123,"lag":0,"paused":false}`},
		{
			"group", func(o *obj) {
				o.group(&engine.GroupInfo{
					Name: "g", Created: at, Updated: at, Endpoints: []engine.Endpoint{{URL: "http://b", Name: `First "endpoint"`}, {URL: "http://a"}},
					Header: []engine.Header{{Name: "Upstash-Retries", Value: "1"}},
				})
			}, `{"name":"g","createdAt":1700000000123,"updatedAt":1700000000123,"endpoints":[{"name":"First \"endpoint\"","url":"http://b"},{"url":"http://a"}]}`,
		},
		{"empty group", func(o *obj) { o.group(&engine.GroupInfo{Name: "g", Created: at, Updated: at}) }, `{"name":"g","createdAt":1700000000123,"updatedAt":1700000000123,"endpoints":[]}`},
		{
			"flow", func(o *obj) {
				o.flow(&engine.FlowInfo{
					FlowControl: engine.FlowControl{Key: "k/é", Parallelism: 5, Rate: 10, Period: 90 * time.Second}, Waiting: 3, InFlight: 2, Count: 9, PeriodStart: at,
					Paused: true, PinnedParallelism: true, PinnedRate: true,
				})
			}, `{"flowControlKey":"k/é","waitListSize":3,"parallelismMax":5,"parallelismCount":2,"rateMax":10,"rateCount":9,"ratePeriod":90,"ratePeriodStart":1700000000,` +
				`"isPaused":true,"isPinnedParallelism":true,"isPinnedRate":true}`,
		},
		{
			"idle flow", func(o *obj) { o.flow(&engine.FlowInfo{FlowControl: engine.FlowControl{Key: "k"}}) },
			`{"flowControlKey":"k","waitListSize":0,"parallelismMax":0,"parallelismCount":0,"rateMax":0,"rateCount":0,"ratePeriod":1,"ratePeriodStart":0,` +
				`"isPaused":false,"isPinnedParallelism":false,"isPinnedRate":false}`,
		},
		{"message", func(o *obj) { o.message(&message) }, "{" + base + `,"scheduleId":"s",` + line + "}"},
		{"rate only", func(o *obj) { o.message(limited(engine.FlowControl{Key: "k", Rate: 2})) }, "{" + base + `,"flowControlKey":"k","rate":2,"period":1}`},
		{"parallelism only", func(o *obj) { o.message(limited(engine.FlowControl{Key: "k", Parallelism: 2})) }, "{" + base + `,"flowControlKey":"k","parallelism":2,"period":1}`},
		{"a period that is no whole number", func(o *obj) {
			o.message(limited(engine.FlowControl{Key: "k", Rate: 2, Period: 1500 * time.Millisecond}))
		}, "{" + base + `,"flowControlKey":"k","rate":2,"period":2}`},
		{"dead letter", func(o *obj) { o.deadLetter(&engine.DeadLetter{ID: "17-1", Message: message}) }, `{"dlqId":"17-1",` + base + `,"scheduleId":"s",` + line + `,"responseStatus":0}`},
		{
			"schedule", func(o *obj) { o.schedule(&schedule) },
			`{"scheduleId":"next","cron":"* * * * *","createdAt":5,"destination":"g","method":"POST","bodyBase64":"/w==","retries":3,"queueName":"q",` +
				`"flowControlKey":"k","rate":1,"period":1,"failureCallback":"http://f","isPaused":false,"tidemill":{"cronSeconds":true,"flowControlMode":"sliding"}}`,
		},
	}
	for _, tt := range tests {
		var o obj
		tt.write(&o)
		if got := string(o.end()); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestMemberReceipts(t *testing.T) {
	one := engine.MemberReceipt{Receipt: engine.Receipt{MessageID: "msg_1"}, URL: "http://a?x=\"1"}
	two := engine.MemberReceipt{Receipt: engine.Receipt{MessageID: "msg_2", Deduplicated: true}, URL: "http://b"}
	got := string(appendMembers(nil, []engine.MemberReceipt{one, two}))
	if want := `[{"messageId":"msg_1","url":"http://a?x=\"1"},{"messageId":"msg_2","url":"http://b","deduplicated":true}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if allDuplicates([]engine.MemberReceipt{one, two}) || !allDuplicates([]engine.MemberReceipt{two, two}) {
		t.Error("an answer is one of duplicates when all of it is")
	}
}
