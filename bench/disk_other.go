//go:build !linux

package bench

import "os"

// dataSync makes what was written durable. Where there is no fdatasync(2) that is Sync.
func dataSync(f *os.File) error { return f.Sync() }
