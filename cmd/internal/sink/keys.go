package sink

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// The names that the keys have in the environment, in what `tidemill serve` prints and in its
// credentials.toml.
const (
	currentKey = "QSTASH_CURRENT_SIGNING_KEY"
	nextKey    = "QSTASH_NEXT_SIGNING_KEY"
)

// loadKeys returns the signing keys: those of the file if there is one, else those of the
// environment. The file has lines such as QSTASH_CURRENT_SIGNING_KEY="sig_…"; other lines are passed
// over. Keys never stand in errors (P45).
func loadKeys(file string, environ []string) ([]string, error) {
	where := "the environment"
	if file != "" {
		where = file
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("the signing keys: %w", err)
		}
		defer f.Close()
		environ = nil
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			environ = append(environ, strings.TrimPrefix(strings.TrimSpace(lines.Text()), "export "))
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("the signing keys in %s: %w", file, err)
		}
	}
	var keys []string
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); name != currentKey && name != nextKey {
			continue
		}
		if value = strings.Trim(strings.TrimSpace(value), `"'`); value != "" {
			keys = append(keys, value)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no signing key in %s: set %s and %s (GET /v2/keys tells them), or name a file that has them with --keys, such as credentials.toml in the server's data directory", where, currentKey, nextKey)
	}
	return keys, nil
}
