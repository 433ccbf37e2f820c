package config

import (
	"fmt"
	"io"
	"strings"
)

const exampleHead = `# Settings of tidemill, all at their defaults: take away the # in front of one to change it.
#
# A setting [a] b-c is also the flag --a.b-c and the variable TIDEMILL_A_B_C. A flag wins over a
# variable, that over this file, and this file over the default; a list of a higher source takes
# the place of a lower one's. Sizes are a number of bytes or such as "512KiB", "64MiB", "1GiB";
# durations such as "250ms", "90s", "15m", "7d".
#
# A setting marked (reload) takes effect on SIGHUP, the others after a restart.
#
# A secret is no flag. It may also be in a file that NAME-file names, or come from systemd's
# LoadCredential=NAME:PATH. Let nobody else read a file that has one in it: chmod 600.
`

// WriteExample writes a commented file of all settings with their defaults, those of dev
// if dev is true.
func WriteExample(w io.Writer, dev bool) error {
	c := Default()
	if dev {
		c = DevDefault()
	}
	var b strings.Builder
	b.WriteString(exampleHead)
	for i, s := range sections(c.Settings()) {
		if i > 0 {
			fmt.Fprintf(&b, "\n[%s]\n", s.table)
		}
		for _, set := range s.settings {
			text := strings.ToUpper(set.Usage[:1]) + set.Usage[1:]
			if set.Secret() {
				text += " (secret)"
			}
			if set.Reload {
				text += " (reload)"
			}
			b.WriteByte('\n')
			wrap(&b, text)
			fmt.Fprintf(&b, "#%s = %s\n", s.key(set.Name), literal(plain(set.Value)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// wrap writes a text as comment lines of at most 100 columns.
func wrap(b *strings.Builder, text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > 100 {
			fmt.Fprintln(b, line)
			line = "#"
		}
		line += " " + word
	}
	fmt.Fprintln(b, line)
}
