package main

import (
	"encoding/json"
	"io"

	"github.com/tidemill/tidemill/wal"
)

// logReport is `wal verify -o json`: addresses are numbers, as in `wal dump --json`.
type logReport struct {
	Segments int            `json:"segments"`
	Groups   int            `json:"groups"`
	Records  int            `json:"records"`
	First    wal.LSN        `json:"first"`
	Mark     wal.LSN        `json:"mark"`
	End      wal.LSN        `json:"end"`
	Lost     int            `json:"lost"`
	More     bool           `json:"lost_more"` // than Lost, which nobody can count
	Damages  []damageReport `json:"damages"`
}

type damageReport struct {
	Segment string        `json:"segment"`
	Offset  int64         `json:"offset"`
	From    wal.LSN       `json:"from,omitempty"`
	To      wal.LSN       `json:"to,omitempty"`
	Meaning string        `json:"meaning"`
	Kept    int           `json:"kept"`
	Lost    []lostRecords `json:"lost,omitempty"`
}

type lostRecords struct {
	LSN     wal.LSN `json:"lsn"`
	End     wal.LSN `json:"end"`
	Records int     `json:"records"` // 0: unknown
	What    string  `json:"what,omitempty"`
}

// printReportJSON is printReport for scripts: one object.
func printReportJSON(w io.Writer, rep *wal.Report) error {
	l := logReport{
		Segments: rep.Segments, Groups: rep.Groups, Records: rep.Records,
		First: rep.First, Mark: rep.Mark, End: rep.End, Damages: []damageReport{},
	}
	l.Lost, l.More = rep.Lost()
	for i := range rep.Damages {
		d := &rep.Damages[i]
		dl := damageReport{Segment: d.Segment, Offset: d.Offset, From: d.From, To: d.To, Meaning: d.Meaning, Kept: d.Kept}
		for _, lost := range d.Lost {
			dl.Lost = append(dl.Lost, lostRecords{lost.LSN, lost.End, lost.Records, lost.What})
		}
		l.Damages = append(l.Damages, dl)
	}
	return json.NewEncoder(w).Encode(l)
}
