package config

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// parse applies flags, environment and a file as the commands do.
func parse(args, environ []string) (*Config, error) { return parseAs(false, args, environ) }

func parseAs(dev bool, args, environ []string) (c *Config, err error) {
	cmd := newTestCommand()
	s := Bind(cmd, dev, environ)
	s.BindPort(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err = s.Load()
		return err
	}
	cmd.SetArgs(args)
	if failed := cmd.Execute(); c == nil { // the flags were not even read
		return Default(), failed
	}
	return c, err
}

func newTestCommand() *cobra.Command {
	return &cobra.Command{Use: "test", SilenceErrors: true, SilenceUsage: true}
}

func TestPrecedence(t *testing.T) {
	c, err := parse(
		[]string{"--log.segment-size", "32MiB", "--fsync=interval=5ms", "--destinations.allow=10.0.0.0/8", "--destinations.allow=h:81", "--destinations.allow-metadata"},
		[]string{
			"PATH=/bin",
			"TIDEMILL_LOG_SEGMENT_SIZE=16MiB", // a flag wins
			"TIDEMILL_LOG_FSYNC=always",       // and so does its short form
			"TIDEMILL_MESSAGE_MAX_DELAY=7d",
			"TIDEMILL_DESTINATIONS_DENY=a,b",
			"TIDEMILL_DELIVERY_PARALLELISM=", // empty is absent
		})
	if err != nil {
		t.Fatal(err)
	}
	if c.SegmentSize != 32*MiB || c.FsyncInterval != 5*time.Millisecond || c.MaxDelay != 7*Day || c.Parallelism != 1000 || !c.AllowMetadata {
		t.Errorf("read %+v", c)
	}
	if got := strings.Join(c.Allow, " ") + "|" + strings.Join(c.Deny, " "); got != "10.0.0.0/8 h:81|a b" {
		t.Errorf("destinations are %q", got)
	}
}

func TestEnvironmentErrors(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"TIDEMILL_LOG_FSYNK=always", "did you mean TIDEMILL_LOG_FSYNC?"},
		{"TIDEMILL_FSYNC=always", "did you mean TIDEMILL_LOG_FSYNC?"},
		{"TIDEMILL_DATA_DIR_OF_MINE=x", "TIDEMILL_DATA_DIR_OF_MINE: this variable names no setting: unset it"},
		{"TIDEMILL_RETENTION_DLQ=long", `TIDEMILL_RETENTION_DLQ: invalid value "long": duration "long"`},
		{"TIDEMILL_MESSAGE_MAX_SIZE=1MB", `TIDEMILL_MESSAGE_MAX_SIZE: invalid value "1MB": want a size such as`},
		{"TIDEMILL_MESSAGE_MAX_DELAY=never", `TIDEMILL_MESSAGE_MAX_DELAY: invalid value "never": duration "never"`},
	} {
		if _, err := parse(nil, []string{c.env}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.env, err, c.want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"LOG_FSYNK", "LOG_FSYNC", 1}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// TestValidate: settings that contradict one another are named together.
func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := DevDefault().Validate(); err != nil {
		t.Error(err)
	}
	for _, s := range Default().Settings() {
		switch s.Value.(type) {
		case *TextValue, *ListValue, *choiceValue, *Secret, *FlagValue, *FsyncValue, *MinFreeValue, *RateValue, *KeepValue:
			continue
		}
		if _, err := parse([]string{"--" + s.Name, "0"}, nil); err == nil || !strings.Contains(err.Error(), s.Name+" must be above zero") {
			t.Errorf("%s of zero, which stands for the default inside: %v", s.Name, err)
		}
	}
	_, err := parse([]string{
		"--message.max-size=2MiB", "--batch.max-size=1MiB", "--publish.inflight-bytes=1MiB",
		"--attempt.timeout=3h", "--shutdown.timeout=0s",
	}, nil)
	for _, want := range []string{
		"batch.max-size (1MiB) is below message.max-size (2MiB)",
		"publish.inflight-bytes (1MiB) is below message.max-size",
		"attempt.timeout (3h) is above attempt.max-timeout (2h)",
		"shutdown.timeout must be above zero",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q in it", err, want)
		}
	}
}
