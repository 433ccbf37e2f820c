package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unscripted are commands that no script runs, with the reason.
var unscripted = map[string]string{
	"tidemill bench isolation": "takes half a minute at the least; TestIsolation of package bench runs what it runs",
}

// TestCommandTree walks every command: each says what it is and how it is used, takes arguments of
// a number that it names, and is run by a script of testdata/script. There it reads or changes a
// running server or a real directory; a command without a script is not one that works.
func TestCommandTree(t *testing.T) {
	root := newRoot(nil)
	run := scripted(t, root)
	walk(root, func(c *cobra.Command) {
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "/"), func(t *testing.T) {
			describes(t, c)
			c.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if !f.Hidden {
					describesFlag(t, f)
				}
			})
			if c.Runnable() && !c.HasSubCommands() && !run[c] && unscripted[c.CommandPath()] == "" {
				t.Error("no script runs it: add one to testdata/script in which it reads or changes a running server, or a real directory")
			}
		})
	})
}

func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			walk(below, visit)
		}
	}
}

func describes(t *testing.T, c *cobra.Command) {
	switch {
	case c.Short == "":
		t.Error("it has no Short")
	case strings.HasSuffix(c.Short, "."):
		t.Errorf("Short ends with a period: %q", c.Short)
	case c.Runnable() && !c.HasSubCommands() && c.Long == "" && c.Example == "" && c.HasAvailableLocalFlags():
		t.Error("it has neither Long nor Example")
	}
	for line := range strings.SplitSeq(c.Long+"\n"+c.Example, "\n") {
		if len([]rune(line)) > 140 {
			t.Errorf("a line of its help does not fit a terminal: %q", line)
		}
	}
	if c.Args == nil {
		t.Error("it has no Args: cobra would take any")
	}
}

func describesFlag(t *testing.T, f *pflag.Flag) {
	switch {
	case f.Usage == "":
		t.Errorf("--%s has no usage", f.Name)
	case strings.HasSuffix(f.Usage, "."):
		t.Errorf("the usage of --%s ends with a period: %q", f.Name, f.Usage)
	}
}

// invocation is a command line in a script: as it is or, in the words of a shell, after tidemill.
var invocation = regexp.MustCompile(`(?:^|[\s'"(|&;$])tidemill((?: +[^\s'"|&;)>]+)+)`)

// scripted returns the commands that scripts run with success.
func scripted(t *testing.T, root *cobra.Command) map[*cobra.Command]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	run := map[*cobra.Command]bool{}
	for _, file := range files {
		script, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(script.Comment), "\n") {
			for _, args := range commandLines(line) {
				if c, _, err := root.Find(args); err == nil {
					run[c] = true
				}
			}
		}
	}
	return run
}

// commandLines returns the arguments of tidemill in a line that is to succeed.
func commandLines(line string) (out [][]string) {
	if rest, ok := strings.CutPrefix(line, "up "); ok {
		words := strings.Fields(rest)[1:]
		for len(words) > 0 && strings.Contains(words[0], "=") { // variables
			words = words[1:]
		}
		return [][]string{words}
	}
	if !strings.HasPrefix(line, "exec ") {
		return nil
	}
	for _, m := range invocation.FindAllStringSubmatch(line, -1) {
		out = append(out, strings.Fields(m[1]))
	}
	return out
}

func TestCommandLines(t *testing.T) {
	for line, want := range map[string]string{
		"exec tidemill queues list -o json":                    "queues list -o json",
		"up one A=b serve --data d":                            "serve --data d",
		"exec sh -c 'x=$(tidemill keys show) && tidemill top'": "keys show|top",
		"# tidemill queues list":                               "",
		"! exec tidemill queues list":                          "",
		"exits usage tidemill queues list":                     "",
		"stderr 'see `tidemill queues list`'":                  "",
	} {
		var got []string
		for _, args := range commandLines(line) {
			got = append(got, strings.Join(args, " "))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
