package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// slabBytes is how long the file is that a slab overwrites, again and again.
const slabBytes = 16 << 20

// slab is the disk by itself: a file that was written once before, so that a sync of a
// part of it writes that part and nothing of the file system's. It has one writer.
type slab struct {
	file *os.File
	at   int64
}

// newSlab makes the file in a directory of the disk to be measured. It is removed by
// close, and by the system if that does not come.
func newSlab(dir string) (*slab, error) {
	f, err := os.CreateTemp(dir, "tidemill-bench-disk-")
	if err != nil {
		return nil, fmt.Errorf("make a file to measure the disk with: %w", err)
	}
	s := &slab{file: f}
	block := newBodies(1 << 20).blank()
	for at := 0; at < slabBytes && err == nil; at += len(block) {
		_, err = f.WriteAt(block, int64(at))
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write a file to measure the disk with: %w", err), s.close())
	}
	return s, nil
}

func (s *slab) close() error { return errors.Join(s.file.Close(), os.Remove(s.file.Name())) }

// write writes a block and makes it durable.
func (s *slab) write(block []byte) error {
	if s.at+int64(len(block)) > slabBytes {
		s.at = 0
	}
	if _, err := s.file.WriteAt(block, s.at); err != nil {
		return err
	}
	s.at += int64(len(block))
	return dataSync(s.file)
}

// contender is the side that makes blocks of a size durable, one after the other, however
// many producers there are.
func (s *slab) contender(size int) contender {
	block := newBodies(size).blank()
	return contender{
		name: fmt.Sprintf("fdatasync-%dKiB", size>>10),
		acks: true,
		producers: func(context.Context, int) ([]operation, func()) {
			return []operation{func(<-chan struct{}) error { return s.write(block) }}, func() {}
		},
	}
}
