package main

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestTokensSurviveKills: once it was answered that a token was made or revoked, or an
// account made or deleted, no kill -9 takes that back.
func TestTokensSurviveKills(t *testing.T) {
	dir := t.TempDir()
	args := []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "off"}
	p := start(t, args...)
	again := func() {
		p.kill()
		p = start(t, args...)
	}
	admin := readCredentials(t, dir).Token
	type made struct {
		ID    json.RawMessage
		Token string
	}
	create := func(path, body string) (id, token string) {
		t.Helper()
		status, answer := call(t, "POST", p.url()+path, admin, body)
		var m made
		if err := json.Unmarshal([]byte(answer), &m); err != nil || status != 201 {
			t.Fatalf("POST %s: %d %s", path, status, answer)
		}
		return string(m.ID), m.Token
	}
	end := func(path, id string) {
		t.Helper()
		var name any
		if err := json.Unmarshal([]byte(id), &name); err != nil {
			t.Fatal(err)
		}
		if status, answer := call(t, "DELETE", fmt.Sprintf("%s%s/%v", p.url(), path, name), admin, ""); status != 200 {
			t.Fatalf("DELETE %s: %d %s", path, status, answer)
		}
	}
	check := func(when, token string, want int) {
		t.Helper()
		if status, answer := call(t, "GET", p.url()+"/v2/queues", token, ""); status != want {
			t.Errorf("%s: %d %s, want %d", when, status, answer, want)
		}
	}
	id, token := create("/v2/tokens", `{"access":"read"}`)
	again()
	check("a token after its making and a kill", token, 200)
	end("/v2/tokens", id)
	again()
	check("a token after its revocation and a kill", token, 401)
	id, token = create("/v2/users", `{"name":"two"}`)
	again()
	check("an account after its making and a kill", token, 200)
	end("/v2/users", id)
	again()
	check("an account after its end and a kill", token, 401)
	check("the first account", admin, 200)
	p.stop(t)
}
