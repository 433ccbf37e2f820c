package httpapi

import (
	"net"
	"strings"
	"testing"
)

// TestRunScheduleEndToEnd runs a schedule over the wire, and a group's.
func TestRunScheduleEndToEnd(t *testing.T) {
	s, sink, arrivals := sinkSite(t)
	s.want(t, requestBody("POST /v2/schedules/"+sink+"/a", "tick", "Upstash-Cron: 0 0 1 1 *", "Upstash-Schedule-Id: yearly"), 200, nil)
	s.want(t, request("POST /v2/schedules/yearly/pause"), 200, nil)
	before := s.view(t, "yearly")
	var sent struct{ MessageID, URL string }
	s.want(t, request("POST /v2/schedules/yearly/run"), 200, &sent)
	a := receive(t, arrivals)
	if sent.URL != sink+"/a" || a.body != "tick" || a.header.Get("Upstash-Message-Id") != sent.MessageID || a.header.Get("Upstash-Schedule-Id") != "yearly" {
		t.Errorf("answered %+v, arrived %+v", sent, a)
	}
	if v := s.view(t, "yearly"); !*v.IsPaused || v.LastScheduleTime != before.LastScheduleTime || v.NextScheduleTime != before.NextScheduleTime || v.LastScheduleStates != nil {
		t.Errorf("the schedule has changed: %+v", v)
	}

	s.want(t, requestBody("POST /v2/topics/both/endpoints", `{"endpoints":[{"url":"`+sink+`/x"},{"url":"`+sink+`/y"}]}`), 200, nil)
	s.want(t, request("POST /v2/schedules/both", "Upstash-Cron: 0 0 1 1 *", "Upstash-Schedule-Id: run"), 200, nil)
	var list []struct{ MessageID, URL string }
	s.want(t, request("POST /v2/schedules/run/run"), 200, &list)
	if len(list) != 2 || list[0].URL != sink+"/x" || list[1].URL != sink+"/y" || list[0].MessageID == list[1].MessageID {
		t.Errorf("a group's run: %+v", list)
	}
	receive(t, arrivals)
	receive(t, arrivals)

	const missing = `{"error":"not found"}`
	s.same(t, request("POST /v2/schedules/none/run"), 404, missing)
	s.same(t, asOther(request("POST /v2/schedules/yearly/run")), 404, missing)
	s.want(t, request("POST /v2/schedules//run"), 400, nil)
	if a := s.send(t, request("GET /v2/schedules/yearly/run")); a.StatusCode != 405 || a.Header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("GET: %d, Allow %q", a.StatusCode, a.Header.Get("Allow"))
	}
	if len(arrivals) != 0 {
		t.Errorf("%d deliveries that nobody asked for", len(arrivals))
	}
}

// TestHostsEndToEnd: each account sees the hosts of its own messages.
func TestHostsEndToEnd(t *testing.T) {
	s := realSite{startReal(t)}
	s.same(t, request("GET /v2/hosts"), 200, "[]")
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	host := "http://" + silent.Addr().String()
	s.want(t, request("POST /v2/publish/"+host+"/now", "Upstash-Retries: 0"), 200, nil)
	conn, err := silent.Accept() // the attempt is under way
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.want(t, request("POST /v2/publish/"+host+"/later", "Upstash-Delay: 30s"), 200, nil)
	s.want(t, asOther(request("POST /v2/publish/"+host+"/later", "Upstash-Delay: 30s")), 200, nil)
	s.same(t, request("GET /v2/hosts"), 200, `[{"host":"`+host+`","halfOpen":false,"inFlight":1,"messages":2}]`)
	s.same(t, asOther(request("GET /v2/hosts")), 200, `[{"host":"`+host+`","halfOpen":false,"inFlight":0,"messages":1}]`)
	if a := s.send(t, request("POST /v2/hosts")); a.StatusCode != 405 || !strings.Contains(a.body, "GET") {
		t.Errorf("POST: %d %s", a.StatusCode, a.body)
	}
	s.want(t, request("GET /v2/hosts/x"), 404, nil)
}
