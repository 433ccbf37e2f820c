package bench

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Setting is what a report says of its run that only the caller knows. All of it may be
// empty; a report then leaves it out.
type Setting struct {
	// Machine is a name for this machine, for baselines.
	Machine string

	// Build is what was built: version and commit of the harness and of the server that
	// it starts.
	Build string

	// Fsync is when the server says that a message is on disk.
	Fsync string

	// Data is a directory on the disk that is measured. Its path is not reported.
	Data string
}

// Machine is where a run took place. What cannot be told is empty.
type Machine struct {
	Name       string `json:"name,omitempty"`
	Kernel     string `json:"kernel,omitempty"`
	CPU        string `json:"cpu,omitempty"` // the model
	Memory     int64  `json:"memory_bytes,omitempty"`
	Go         string `json:"go,omitempty"`
	FileSystem string `json:"file_system,omitempty"` // of the data directory
	Disk       string `json:"disk,omitempty"`        // the device below it, and its kind
}

// readMachine looks at this machine. It reads /proc and /sys, and finds less where there is
// none.
func readMachine(s *Setting) Machine {
	m := Machine{Name: s.Machine, Go: runtime.Version()}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = "Linux " + strings.TrimSpace(string(release))
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = procField(info, "model name")
	}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		kib, _, _ := strings.Cut(procField(info, "MemTotal"), " ")
		n, _ := strconv.ParseInt(kib, 10, 53) // 0, which is unknown, where that is no number
		m.Memory = n << 10
	}
	if s.Data != "" {
		m.FileSystem, m.Disk = diskOf(s.Data)
	}
	return m
}

// procField is the value of the first line "name : value" of a file of /proc.
func procField(text []byte, name string) string {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

// text is the machine on one line, without what is not known.
func (m *Machine) text(cpus int) string {
	processors := strconv.Itoa(cpus) + " CPUs"
	if m.CPU != "" {
		processors += " (" + m.CPU + ")"
	}
	parts := []string{m.Name, processors, "", m.Kernel, m.storage(), m.Go}
	if m.Memory > 0 {
		parts[2] = quantity(float64(m.Memory)/(1<<30), "GiB")
	}
	return joinKnown(parts, ", ")
}

// storage is where the data directory is.
func (m *Machine) storage() string {
	return joinKnown([]string{m.FileSystem, m.Disk}, " on ")
}

// joinKnown joins what is not empty.
func joinKnown(parts []string, by string) string {
	known := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			known = append(known, p)
		}
	}
	return strings.Join(known, by)
}
