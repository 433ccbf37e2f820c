package commands

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// bodyMax is the longest body that a server can be told to take (message.max-size), bytes.
const bodyMax = 64 << 20

// bodyFlags are --body and --body-file.
type bodyFlags struct {
	c          *cobra.Command
	text, file string
}

func bindBody(c *cobra.Command) *bodyFlags {
	b := &bodyFlags{c: c}
	c.Flags().StringVarP(&b.text, "body", "d", "", "the body as it stands, @ too (others on this machine can read it in the list of processes: see --body-file)")
	c.Flags().StringVar(&b.file, "body-file", "", "file that holds the body, byte for byte; - is standard input")
	c.MarkFlagsMutuallyExclusive("body", "body-file")
	return b
}

// read returns the body, nil for none.
func (b *bodyFlags) read() ([]byte, error) {
	if b.file == "" {
		return []byte(b.text), nil
	}
	f, err := openInput(b.c, b.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, bodyMax+1))
	if err == nil && len(body) > bodyMax {
		err = exit.With(exit.Data, fmt.Errorf("%s is longer than %d MiB, which no server takes", b.file, bodyMax>>20))
	}
	return body, err
}

// openInput opens a file, or standard input for "-".
func openInput(c *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(c.InOrStdin()), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, exit.With(exit.NoInput, err)
	}
	return f, nil
}
