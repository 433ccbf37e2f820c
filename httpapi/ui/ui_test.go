package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// weightMax bounds what a browser loads in all, bytes as they are sent.
const weightMax = 200 << 10

// own calls fn for each file that is ours, by its name below static.
func own(t *testing.T, ext string, fn func(name, text string)) {
	t.Helper()
	n := 0
	err := filepath.WalkDir("static", func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(file) != ext || strings.Contains(file, "vendor") {
			return err
		}
		b, err := os.ReadFile(file)
		n++
		fn(strings.TrimPrefix(filepath.ToSlash(file), "static/"), string(b))
		return err
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files of %s: %v", n, ext, err)
	}
}

// TestVendored: the code of others is what vendor.json says, all of it, with its licences.
func TestVendored(t *testing.T) {
	b, err := os.ReadFile("vendor.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		File, Package, Version, Path, License, SHA256 string
		Licenses                                      []string
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	var listed, licenses []string
	for _, v := range list {
		b, err := os.ReadFile(filepath.Join("static", "vendor", v.File))
		if err != nil {
			t.Error(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != v.SHA256 {
			t.Errorf("%s is not the file of %s %s that vendor.json lists: its SHA-256 is %x", v.File, v.Package, v.Version, sum)
		}
		if v.Package == "" || v.Version == "" || v.Path == "" || v.License == "" || len(v.Licenses) == 0 {
			t.Errorf("%s: vendor.json says too little of it: %+v", v.File, v)
		}
		listed, licenses = append(listed, v.File), append(licenses, v.Licenses...)
	}
	for _, c := range []struct {
		dir  string
		want []string
	}{{"static/vendor", listed}, {"licenses", licenses}} {
		entries, err := os.ReadDir(c.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !slices.Contains(c.want, e.Name()) {
				t.Errorf("%s/%s is not in vendor.json", c.dir, e.Name())
			}
		}
		for _, name := range c.want {
			if info, err := os.Stat(filepath.Join(c.dir, name)); err != nil || info.Size() < 1000 {
				t.Errorf("%s/%s: %v", c.dir, name, err)
			}
		}
	}
}

// TestWeight: all pages together are light, and what is sent compressed is what was there.
func TestWeight(t *testing.T) {
	total := 0
	for name, f := range files() {
		sent := f.Body
		if f.Gzip != nil {
			sent = f.Gzip
			z, err := gzip.NewReader(bytes.NewReader(f.Gzip))
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, f.Body) {
				t.Errorf("%s: its compressed form is another file: %v", name, err)
			}
		}
		total += len(sent)
	}
	t.Logf("%d files, %d bytes as they are sent", len(files()), total)
	if total > weightMax {
		t.Errorf("the dashboard weighs %d bytes, more than %d", total, weightMax)
	}
}

var (
	inPage   = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	inModule = regexp.MustCompile(`(?m)(?:^[^"\n]*\bfrom |^import |\bimport\()"([^"\n]*)"`)
)

// TestAddresses: everything that a page or a module names is there, and named relatively.
func TestAddresses(t *testing.T) {
	page := string(Find("").Body)
	if strings.Contains(page, build) {
		t.Errorf("the page has %s left in it", build)
	}
	for _, m := range inPage.FindAllStringSubmatch(page, -1) {
		if Find(m[1]) == nil || !Find(m[1]).Forever {
			t.Errorf("the page names %q, which is not there", m[1])
		}
	}
	used := map[string]bool{}
	own(t, ".js", func(name, text string) {
		for _, m := range inModule.FindAllStringSubmatch(text, -1) {
			to := path.Join(path.Dir(name), m[1])
			if _, err := os.Stat(filepath.Join("static", filepath.FromSlash(to))); err != nil || !strings.HasPrefix(m[1], ".") {
				t.Errorf("%s imports %q, which is not there", name, m[1])
			}
			used[to] = true
		}
	})
	own(t, ".js", func(name, _ string) {
		if !used[name] && name != "js/main.js" {
			t.Errorf("nothing imports %s", name)
		}
	})
}

// forbidden is what would make markup or code of text, or call somebody else.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function|https?://|new (?:XMLHttpRequest|EventSource|WebSocket)|localStorage\.setItem\((?:[^k]|k[^e])`)

// TestPlain: what keeps text from becoming code, and the token in its tab, is not left to
// the policy alone.
func TestPlain(t *testing.T) {
	own(t, ".js", func(name, text string) {
		for _, found := range forbidden.FindAllString(text, -1) {
			t.Errorf("%s has %q", name, found)
		}
		if !strings.HasPrefix(text, "//") {
			t.Errorf("%s does not begin by saying what it is for", name)
		}
		if lines := strings.Count(text, "\n"); lines > 300 {
			t.Errorf("%s has %d lines: it holds more than one idea", name, lines)
		}
	})
	page := string(Find("").Body)
	for _, tag := range regexp.MustCompile(`<(script|style)[^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(tag, "src=") {
			t.Errorf("the page has %s within it", tag)
		}
	}
}

func TestFind(t *testing.T) {
	for _, name := range []string{"index.html", "js/main.js", "0000000000000000/js/main.js", "../ui.go", "vendor.json", "/"} {
		if Find(name) != nil {
			t.Errorf("%q is found", name)
		}
	}
	if f := Find(""); f == nil || f.Forever || f.Gzip == nil || f.Type != "text/html; charset=utf-8" {
		t.Errorf("the page is %+v", f)
	}
}
