package config

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

var commented = regexp.MustCompile(`(?m)^#(["a-z])`)

// TestExample: the example is valid as it is and with everything uncommented, and both
// say the defaults.
func TestExample(t *testing.T) {
	for _, dev := range []bool{false, true} {
		var b strings.Builder
		if err := WriteExample(&b, dev); err != nil {
			t.Fatal(err)
		}
		all := commented.ReplaceAllString(b.String(), "$1")
		if n, want := strings.Count(b.String(), "\n#")-strings.Count(all, "\n#"), len(new(Config).Settings()); n != want {
			t.Errorf("%d settings are in the example, want %d:\n%s", n, want, b.String())
		}
		for _, text := range []string{b.String(), all} {
			path := written(t, text)
			c, err := parseAs(dev, []string{"--config", path}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if changed := Changes((&Sources{Dev: dev}).defaults(), c); len(changed) != 0 {
				t.Errorf("dev %v: these are not the defaults: %q", dev, changed)
			}
			for _, s := range c.Settings() {
				if from := c.Origin(s.Name).Source; text == all && !s.Secret() && from != FromFile {
					t.Errorf("%s is from %v: it is not in the example", s.Name, from)
				}
			}
		}
		for i, line := range strings.Split(b.String(), "\n") {
			if len(line) > 100 {
				t.Errorf("line %d is %d characters long", i+1, len(line))
			}
		}
	}
}

// TestShowTOML: what show prints can be given back, and says the same, secrets aside.
func TestShowTOML(t *testing.T) {
	args := []string{
		"--data", "a \"b\"\\\t\x7f\u2028é", "--data.min-free=0", "--destinations.allow=10.0.0.0/8,*.a.test:443", "--fsync=interval=3ms",
		"--destinations.allow-metadata", "--retention.dlq=0", "--delivery.resident=7", "--retention.bodies=90m", "--log.scrub-rate=1025",
	}
	c, err := parse(args, []string{"TIDEMILL_AUTH_TOKEN=0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	for _, origins := range []bool{false, true} {
		var b strings.Builder
		if err := c.Show(&b, "toml", origins); err != nil {
			t.Fatal(err)
		}
		back, err := parse([]string{"--config", written(t, b.String())}, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, b.String())
		}
		if got := strings.Join(Changes(c, back), " "); got != "auth.token" {
			t.Errorf("changed are %s by\n%s", got, b.String())
		}
	}
}

func TestShowJSON(t *testing.T) {
	c, err := parse([]string{"--delivery.resident=7", "--config", written(t, "\n[cors]\norigins=[\"https://a.test\"]")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Show(&b, "json", true); err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Name   string
		Value  any
		Origin struct {
			Source, Name string
			Line         int
		}
	}
	if err := json.Unmarshal([]byte(b.String()), &rows); err != nil || len(rows) != len(c.Settings()) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		switch o := r.Origin; r.Name {
		case "delivery.resident":
			if r.Value != 7.0 || o.Source != "flag" || o.Name != "--delivery.resident" {
				t.Errorf("%+v", r)
			}
		case "cors.origins":
			if list, ok := r.Value.([]any); !ok || len(list) != 1 || o.Source != "file" || o.Line != 3 {
				t.Errorf("%+v", r)
			}
		case "destinations.allow":
			if list, ok := r.Value.([]any); !ok || len(list) != 0 || o.Source != "default" {
				t.Errorf("%+v", r)
			}
		case "destinations.allow-metadata":
			if r.Value != false {
				t.Errorf("%+v", r)
			}
		}
	}
}
