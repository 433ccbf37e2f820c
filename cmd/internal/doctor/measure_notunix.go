//go:build !unix

package doctor

import (
	"errors"
	"io/fs"
)

func ownerOf(fs.FileInfo) int { return -1 }

func writable(string) bool { return true }

func lockHolder(string) (pid int, held bool, err error) { return 0, false, errors.ErrUnsupported }
