package bench

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// savedMax bounds a saved report, which has some hundred bytes for each round.
const savedMax = 16 << 20

// ReadReport reads what WriteJSON wrote. It refuses what is no report, and one of a newer
// format than this program knows.
func ReadReport(r io.Reader) (*Report, error) {
	text, err := io.ReadAll(io.LimitReader(r, savedMax+1))
	if err != nil {
		return nil, err
	}
	if len(text) > savedMax {
		return nil, fmt.Errorf("more than %d MiB: no report is so long", savedMax>>20)
	}
	report := new(Report)
	if err := json.Unmarshal(text, report); err != nil {
		return nil, fmt.Errorf("not a report: %w", err)
	}
	return report, report.check()
}

// check says whether this is a report that this program understands.
func (r *Report) check() error {
	switch {
	case r.Scenario == "":
		return errors.New("not a report: it names no scenario")
	case r.Format > reportFormat:
		return fmt.Errorf("a report of format %d, and this program reads up to %d: use a newer one", r.Format, reportFormat)
	}
	return nil
}

// ReadReports reads saved reports: files, and directories for all their files *.json. They
// come sorted by scenario, and by when they were made.
func ReadReports(paths ...string) ([]*Report, error) {
	var reports []*Report
	for _, path := range paths {
		files, err := reportFiles(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			r, err := readReportFile(file)
			if err != nil {
				return nil, err
			}
			reports = append(reports, r)
		}
	}
	slices.SortStableFunc(reports, func(a, b *Report) int {
		return cmp.Or(cmp.Compare(a.Scenario, b.Scenario), a.Started.Compare(b.Started))
	})
	return reports, nil
}

// reportFiles is the file itself, or those in a directory.
func reportFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".json" {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no *.json is in it: %w", path, fs.ErrNotExist)
	}
	return files, nil
}

func readReportFile(path string) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := ReadReport(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.file = strings.TrimSuffix(filepath.Base(path), ".json")
	return r, nil
}
