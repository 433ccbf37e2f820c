package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDashboard drives the dashboard of the built server in Chromium: the suite of
// testdata/browser, for Node's test runner. Every exchange is held against the document of the
// API, so that pages cannot come to need what is not public. With -artifacts pictures are kept.
func TestDashboard(t *testing.T) {
	builtBinary(t)
	chromium := chromiumPath()
	if _, err := exec.LookPath("npm"); err != nil || chromium == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium or npm is not installed: in CI the dashboard is tested")
		}
		t.Skip("\n\n*** THE DASHBOARD WAS NOT TESTED: it needs chromium and npm ***\n")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "browser"))); err != nil {
		t.Fatal(err)
	}
	node(t, dir, nil, "npm", "ci", "--prefer-offline", "--no-audit", "--no-fund")

	p := start(t, "dev", "--port", "0")
	files, err := filepath.Glob(filepath.Join(dir, "*.test.mjs"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no suite in %s: %v", dir, err)
	}
	url, check := checkedURL(t, p)
	env := []string{"TIDEMILL_TEST_URL=" + url, "TIDEMILL_TEST_CHROMIUM=" + chromium, "TIDEMILL_TEST_SHOTS=" + t.ArtifactDir()}
	out := node(t, dir, env, "node", append([]string{"--test", "--test-reporter=tap"}, files...)...)
	t.Logf("%s, %d exchanges", strings.Join(tapSummary.FindAllString(out, -1), ", "), check())
	for _, line := range regexp.MustCompile(`(?m)^ *# .*processor time.*$`).FindAllString(out, -1) {
		t.Log(strings.TrimSpace(line))
	}
	if !regexp.MustCompile(`(?m)^# skipped 0$`).MatchString(out) || regexp.MustCompile(`(?m)^# tests 0$`).MatchString(out) {
		t.Errorf("some of the suite did not run:\n%s", out)
	}
	p.stop(t)
}

func chromiumPath() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// TestDashboardSetting: a server serves the dashboard, says where, and with --ui=false does
// neither.
func TestDashboardSetting(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"dev", "--port", "0"}, http.StatusOK},
		{[]string{"dev", "--port", "0", "--ui=false"}, http.StatusNotFound},
	} {
		p := start(t, c.args...)
		r, err := http.Get(p.url() + "/ui/")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		told := strings.Contains(p.output(), p.url()+"/ui/\n")
		if r.StatusCode != c.status || told != (c.status == http.StatusOK) {
			t.Errorf("%v: %d, and the banner has it: %v", c.args, r.StatusCode, told)
		}
		p.stop(t)
	}
}
