package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/config"
	"github.com/tidemill/tidemill/cmd/internal/exit"
	"github.com/tidemill/tidemill/engine"
	"github.com/tidemill/tidemill/wal"
)

func newWal(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "wal",
		Short: "Look at the log, check it, repair it",
		Long: "Look at the log in a data directory, check it, or repair it. dump and verify change\n" +
			"nothing and need no lock: they work beside a running server, up to what was on disk\n" +
			"when it last said so. repair needs the server to be stopped.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newWalDump(environ), newWalVerify(environ), newWalRepair(environ))
	return c
}

// dataFlag is --data of a command that works on a directory, with the server's
// environment and configuration file behind it.
type dataFlag struct {
	dir     string
	config  string // --config
	environ []string
}

func bindData(c *cobra.Command, environ []string, usage string) *dataFlag {
	d := &dataFlag{environ: environ}
	c.Flags().StringVar(&d.dir, "data", "", usage+" [$"+config.EnvPrefix+"DATA]")
	config.BindFile(c, &d.config)
	return d
}

func (d *dataFlag) get() (string, error) {
	if d.dir != "" {
		return d.dir, nil
	}
	dir, err := config.Lookup(d.environ, d.config, "data")
	if err == nil && dir == "" {
		err = exit.With(exit.Usage, errors.New("which data directory? Name it with --data DIR or TIDEMILL_DATA"))
	}
	return dir, err
}

func (d *dataFlag) open() (*engine.Offline, error) {
	dir, err := d.get()
	if err != nil {
		return nil, err
	}
	return engine.OpenOffline(nil, dir)
}

func newWalVerify(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "verify --data DIR",
		Short: "Check every byte of the log against its checksums",
		Long: "Check every segment's header and order, and every group and record, and print a line\n" +
			"for each damage: the file, the offset in it, what it means and what it costs. The exit\n" +
			"status is 65 if there is any.",
		Args: cobra.NoArgs,
	}
	data := bindData(c, environ, "data directory")
	output := config.BindChoice(c, "output", "o", "how to print it (json: one object)", "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		dir, err := data.open()
		if err != nil {
			return err
		}
		rep, unknown, err := dir.Verify()
		if err != nil {
			return err
		}
		if *output == "json" {
			err = printReportJSON(c.OutOrStdout(), rep)
		} else {
			printReport(c.OutOrStdout(), rep)
		}
		if err != nil {
			return exit.With(exit.IO, err)
		}
		if unknown != nil {
			fmt.Fprintln(c.ErrOrStderr(), "tidemill: the index was not looked at:", unknown)
		}
		if len(rep.Damages) > 0 {
			fmt.Fprintln(c.ErrOrStderr(), "tidemill: the log is damaged. Stop the server and run `tidemill wal repair`, or restore a backup")
			return &toldError{exit.With(exit.Data, errors.New("damage was found"))}
		}
		return nil
	}
	return c
}

// printReport writes a line for each damage and each loss, and a sum.
func printReport(w io.Writer, rep *wal.Report) {
	for i := range rep.Damages {
		d := &rep.Damages[i]
		fmt.Fprintf(w, "%s: offset %d: %s%s\n", d.Segment, d.Offset, d.Meaning, extent(d))
		for _, l := range d.Lost {
			fmt.Fprintln(w, "  lost:", lossLine(&l))
		}
	}
	lost, more := rep.Lost()
	fmt.Fprintf(w, "%s from %v to %v: %s, %s", count(rep.Segments, "segment"), rep.First, rep.End, count(rep.Groups, "sound group"), count(rep.Records, "intact record"))
	if rep.End > rep.Mark {
		fmt.Fprintf(w, " (those from %v on are newer than the last mark)", rep.Mark)
	}
	switch {
	case len(rep.Damages) == 0:
		fmt.Fprintln(w, "; no damage")
	case more:
		fmt.Fprintf(w, "; %s, at least %s lost\n", count(len(rep.Damages), "damage"), count(lost, "record"))
	default:
		fmt.Fprintf(w, "; %s, %s lost\n", count(len(rep.Damages), "damage"), count(lost, "record"))
	}
}

// extent says which addresses a damage affects and what became of their records.
func extent(d *wal.Damage) string {
	if d.To == 0 {
		return ""
	}
	s := fmt.Sprintf(" (%v to %v: ", d.From, d.To)
	lost, more := 0, false
	for _, l := range d.Lost {
		lost += l.Records
		more = more || l.Records == 0
	}
	switch {
	case more:
		s += fmt.Sprintf("%s or more lost", count(max(lost, 1), "record"))
	case lost == 0:
		s += "no record lost"
	default:
		s += count(lost, "record") + " lost"
	}
	return fmt.Sprintf("%s, %d intact)", s, d.Kept)
}

func lossLine(l *wal.Lost) string {
	s := fmt.Sprintf("%v to %v: ", l.LSN, l.End)
	switch {
	case l.Records == 0:
		return s + "nobody can say what stood there"
	case l.What != "":
		return s + "it reads like " + l.What
	case l.Records > 1:
		return s + count(l.Records, "record")
	}
	return s + "a record that cannot be read"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func newWalRepair(environ []string) *cobra.Command {
	c := &cobra.Command{
		Use:   "repair --data DIR",
		Short: "Make a damaged log one that the server opens, and list what was lost",
		Long: "Set the damaged files aside in damaged/ below the data directory, rebuild them, and list\n" +
			"exactly what was lost. Every record that is intact stays, also in the same file before and\n" +
			"behind the damage. A message that was lost ends in the dead letter queue when the index\n" +
			"knows of it. A log without damage is left as it is.",
		Args: cobra.NoArgs,
	}
	data := bindData(c, environ, "data directory of a server that is stopped")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		dir, err := data.open()
		if err != nil {
			return err
		}
		if err := dir.Lock(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, dir.Close()) }()
		r, err := dir.Repair()
		if err != nil {
			return err
		}
		printRepaired(c.OutOrStdout(), r)
		return nil
	}
	return c
}

func printRepaired(w io.Writer, r *engine.Repaired) {
	printReport(w, r.Report)
	if r.Index != "" {
		fmt.Fprintf(w, "The index was set aside: %s. The next start rebuilds it from the log.\n", r.Index)
	}
	if r.Aside == "" {
		fmt.Fprintln(w, "Nothing was changed.")
		return
	}
	fmt.Fprintf(w, "Repaired. What was changed is in %s as it was; remove that when it is no longer needed.\n", r.Aside)
}

func newWalDump(environ []string) *cobra.Command {
	var asJSON, groups bool
	var from string
	c := &cobra.Command{
		Use:   "dump --data DIR",
		Short: "List the log's records",
		Long: "List the log: a line for each segment and record, and for each group with --groups.\n" +
			"Bodies, headers and secrets are not shown. Addresses are SEGMENT:OFFSET in text and\n" +
			"numbers in JSON.",
		Args: cobra.NoArgs,
	}
	data := bindData(c, environ, "data directory")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object per line")
	c.Flags().BoolVar(&groups, "groups", false, "list groups, too: what one sync made durable")
	c.Flags().StringVar(&from, "from", "", "begin with the segment that holds this address, such as 3:4096")
	c.RunE = func(c *cobra.Command, _ []string) error {
		lsn, err := parseAddress(from)
		if err != nil {
			return err
		}
		dir, err := data.open()
		if err != nil {
			return err
		}
		out := bufio.NewWriter(c.OutOrStdout())
		line := dumpText
		if asJSON {
			line = dumpJSON
		}
		err = dir.Dump(lsn, func(d *wal.Dumped) error {
			if d.Kind == "group" && !groups {
				return nil
			}
			return line(out, d)
		})
		return errors.Join(err, out.Flush())
	}
	return c
}

// parseAddress reads "segment:offset" or the number that JSON has.
func parseAddress(s string) (wal.LSN, error) {
	if s == "" {
		return 0, nil
	}
	segment, offset, split := strings.Cut(s, ":")
	if !split {
		segment, offset = "0", s
	}
	k, err := strconv.ParseUint(segment, 10, 32)
	n, err2 := strconv.ParseUint(offset, 10, 64)
	if err != nil || err2 != nil || split && n >= 1<<32 {
		return 0, fmt.Errorf("--from %q is no address: want SEGMENT:OFFSET, such as 3:4096", s)
	}
	return wal.LSN(k<<32 + n), nil
}

func dumpText(w io.Writer, d *wal.Dumped) (err error) {
	switch d.Kind {
	case "segment":
		_, err = fmt.Fprintf(w, "segment %s format version %d, %d bytes, begins at %v, synced to %v\n", d.Segment, d.Version, d.Size, d.LSN, d.Mark)
	case "group":
		_, err = fmt.Fprintf(w, "group   %v %s in %d bytes, mark %v\n", d.LSN, count(d.Records, "record"), d.Bytes, d.Mark)
	case "record":
		_, err = fmt.Fprintf(w, "record  %v %d bytes, %s\n", d.LSN, d.Bytes, engine.InspectRecord(d.LSN, d.Payload))
	case "damage":
		_, err = fmt.Fprintf(w, "damage  %s: offset %d: %s%s\n", d.Damage.Segment, d.Damage.Offset, d.Damage.Meaning, extent(d.Damage))
	}
	return err
}

// dumpLine is dump's JSON. Fields that a kind does not have are left out.
type dumpLine struct {
	Type    string  `json:"type"` // segment, group, record, damage
	Segment string  `json:"segment"`
	LSN     wal.LSN `json:"lsn"`
	End     wal.LSN `json:"end,omitempty"`
	Version uint32  `json:"version,omitempty"`
	Size    int64   `json:"size,omitempty"`
	Mark    wal.LSN `json:"mark,omitempty"`
	Records int     `json:"records,omitempty"`
	Length  int     `json:"length,omitempty"` // group: of its records; record: of its payload
	Offset  int64   `json:"offset,omitempty"`
	Meaning string  `json:"meaning,omitempty"`
	*engine.RecordInfo
}

func dumpJSON(w io.Writer, d *wal.Dumped) error {
	l := dumpLine{
		Type: d.Kind, Segment: d.Segment, LSN: d.LSN, End: d.End, Version: d.Version, Size: d.Size, Mark: d.Mark,
		Records: d.Records, Length: d.Bytes,
	}
	switch d.Kind {
	case "record":
		info := engine.InspectRecord(d.LSN, d.Payload)
		l.RecordInfo = &info
	case "damage":
		l.Segment, l.Offset, l.Meaning = d.Damage.Segment, d.Damage.Offset, d.Damage.Meaning
	}
	return json.NewEncoder(w).Encode(l)
}
