package config

import "testing"

// TestKeep: whatever waits for a restart can be kept as it is.
func TestKeep(t *testing.T) {
	waiting := 0
	for _, s := range Default().Settings() {
		if s.Reload {
			continue
		}
		waiting++
		if _, list := s.Value.(*ListValue); list || s.Secret() {
			t.Errorf("%s cannot wait for a restart: Keep does not take it", s.Name)
			continue
		}
		old, changed := Default(), DevDefault()
		old.origins, changed.origins = map[string]Origin{s.Name: {Source: FromEnv, Name: "X"}}, map[string]Origin{}
		changed.SegmentSize, changed.Memtable, changed.FsyncInterval, changed.Resident = 32*MiB, MiB, 7, 9
		changed.Data, changed.Listen, changed.AdminListen = "elsewhere", ":1", AdminOff
		before := len(Changes(old, changed))
		changed.Keep(old, s.Name)
		if changed.Text(s.Name) != old.Text(s.Name) || changed.Origin(s.Name) != old.Origin(s.Name) {
			t.Errorf("%s is %s after it was kept, want %s", s.Name, changed.Text(s.Name), old.Text(s.Name))
		}
		if n := len(Changes(old, changed)); n > before {
			t.Errorf("%s: %d other settings changed with it", s.Name, n-before)
		}
	}
	if waiting < 5 {
		t.Errorf("%d settings wait for a restart", waiting)
	}
}
