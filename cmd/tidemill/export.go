package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/engine"
)

func newExport(environ []string) *cobra.Command {
	var secrets bool
	c := &cobra.Command{
		Use:   "export",
		Short: "Write messages, dead letters, schedules and accounts as NDJSON",
		Long: "Write everything that is pending or dead, the schedules and the accounts to standard\n" +
			"output: one JSON object per line. \"type\" is export (the first line), account, token,\n" +
			"message, dead_letter, schedule, group or end (the last line, with the counts; without it the export is\n" +
			"incomplete).\n\n" +
			"  account      id, name, dev, created; with --secrets token_sha256, current_signing_key,\n" +
			"               next_signing_key\n" +
			"  token        id, user, name, access, admin, created, expires, queues, groups, hosts;\n" +
			"               with --secrets token_sha256\n" +
			"  message      id, user, url, method, headers, body or body_base64, caller_ip, created,\n" +
			"               not_before, due, attempts, retries, retry_delay, schedule\n" +
			"  dead_letter  the same, message (its id), at, response_status, response_headers,\n" +
			"               response_body or response_body_base64, error\n" +
			"  schedule     id, user, cron, paused, created, seconds, dst, missed, missed_max,\n" +
			"               missed_window_ms, jitter_ms, of its messages url, method, headers, body or\n" +
			"               body_base64, caller_ip, retries, retry_delay, timeout_ms, delay_ms, then\n" +
			"               last, next, error\n\n" +
			"What cannot be read has \"damaged\": true. The running server is asked through its admin\n" +
			"listener; a stopped directory is recovered as by a start, without a delivery.",
		Args:    cobra.NoArgs,
		Example: "  tidemill export > all.ndjson\n  tidemill export --data /var/lib/tidemill | jq -r 'select(.type==\"dead_letter\").url'",
	}
	s := bindSource(c, environ)
	c.Flags().BoolVar(&secrets, "secrets", false, "show signing keys and the hashes of tokens")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if s.data.dir != "" {
			return exportStopped(c, s, engine.ExportOptions{Secrets: secrets})
		}
		path := "/export"
		if secrets {
			path += "?secrets=true"
		}
		body, err := s.ask(c.Context(), path, nil)
		if err != nil {
			return err
		}
		defer body.Close()
		return copyExport(c.OutOrStdout(), body)
	}
	return c
}

func exportStopped(c *cobra.Command, s *source, o engine.ExportOptions) error {
	dir, err := s.data.open()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.OutOrStdout())
	err = dir.Export(c.Context(), out, o)
	if errors.Is(err, engine.ErrLocked) {
		return fmt.Errorf("%w; a running server's data are read through its admin listener (--from URL)", err)
	}
	return errors.Join(err, out.Flush())
}

// copyExport copies lines and wants the last one to be the end.
func copyExport(w io.Writer, r io.Reader) error {
	last := &lastLine{}
	if _, err := io.Copy(io.MultiWriter(w, last), r); err != nil {
		return fmt.Errorf("the export is incomplete: %w", err)
	}
	if !bytes.HasPrefix(last.line, []byte(`{"type":"end",`)) || !last.ended {
		return errors.New("the export is incomplete: the server broke off")
	}
	return nil
}

// lastLine remembers how the last line begins.
type lastLine struct {
	line  []byte
	ended bool // by a newline
}

func (l *lastLine) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if l.ended {
			l.line, l.ended = l.line[:0], false
		}
		part, rest, newline := bytes.Cut(p, []byte("\n"))
		if room := 64 - len(l.line); room > 0 {
			l.line = append(l.line, part[:min(room, len(part))]...)
		}
		p, l.ended = rest, newline
	}
	return n, nil
}
