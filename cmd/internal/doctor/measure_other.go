//go:build !linux

package doctor

import (
	"fmt"
	"runtime"
)

var errNotHere = fmt.Errorf("not looked at on %s", runtime.GOOS)

func inodesOf(string) (total, free uint64) { return 0, 0 }
func mountOf(string) (*mount, error)       { return nil, errNotHere }
func deviceOf(*mount) (*device, error)     { return nil, errNotHere }
func clockState() (syncState, error)       { return syncState{}, errNotHere }
func physicalMemory() int64                { return 0 }
func kernelSetting(string) (string, error) { return "", errNotHere }
