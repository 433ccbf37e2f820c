// Package ui is the dashboard: pages, styles and modules that a browser runs as they stand
// here, without a build step, and the code of others that they stand on (vendor.json). It
// knows nothing of a server: what the pages show they ask the public API for.
//
// Everything but the page itself is under a folder that is named for what is in it, so that
// it may be kept for ever, and a page never meets the modules of another release. All names
// inside are relative, so that a proxy may have the dashboard under any path.
package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed static
var static embed.FS

// File is one file of the dashboard. It is read only.
type File struct {
	Type    string // its Content-Type
	Tag     string // entity tag of its content, with quotes
	Body    []byte
	Gzip    []byte // Body compressed; nil where that saves nothing
	Forever bool   // what has this name never changes
}

// Find returns the file that stands under a path behind the dashboard's own, such as "" for
// the page, or nil. Files are compressed when the first is asked for, once. It is safe for
// concurrent use.
func Find(name string) *File { return files()[name] }

const (
	page  = "index.html"
	build = "{build}" // in the page: the folder of all the rest
)

var files = sync.OnceValue(func() map[string]*File {
	contents := map[string][]byte{}
	sum := sha256.New()
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := static.ReadFile(name)
		name = strings.TrimPrefix(name, "static/")
		contents[name] = b
		sum.Write([]byte(name))
		sum.Write(b)
		return err
	})
	if err != nil {
		panic("ui: BUG: " + err.Error()) // it is in the binary
	}
	folder := hex.EncodeToString(sum.Sum(nil)[:8])
	out := map[string]*File{"": newFile(page, bytes.ReplaceAll(contents[page], []byte(build), []byte(folder)))}
	delete(contents, page)
	for name, b := range contents {
		f := newFile(name, b)
		f.Forever = true
		out[folder+"/"+name] = f
	}
	return out
})

// types are the kinds of files there may be.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func newFile(name string, b []byte) *File {
	kind := types[path.Ext(name)]
	if kind == "" {
		panic("ui: BUG: no type for " + name)
	}
	sum := sha256.Sum256(b)
	f := &File{Type: kind, Tag: `"` + hex.EncodeToString(sum[:8]) + `"`, Body: b}
	if z := compress(b); len(z) < len(b) {
		f.Gzip = z
	}
	return f
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(b)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic("ui: BUG: " + err.Error()) // into memory
	}
	return out.Bytes()
}
