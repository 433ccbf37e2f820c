package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Secret is a text that is never shown (P45): whatever prints it prints three stars.
// string(s) is the text itself.
type Secret string

const stars = "***"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return stars
}

func (s Secret) GoString() string             { return s.String() }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(s.String()) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Secret) Type() string { return "secret" }

// secretMax bounds the file of a secret, and what it may be.
const secretMax = 4096

// Set takes what can stand in a header line and on a line of its own. Its errors say
// nothing of the text.
func (s *Secret) Set(text string) error {
	if len(text) > secretMax {
		return fmt.Errorf("want at most %d characters", secretMax)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("want visible ASCII characters without spaces, on one line")
	}
	*s = Secret(text)
	return nil
}

// fileSuffix makes of a secret's name that of the setting with the path of its file.
const fileSuffix = "-file"

// secretFiles are the paths of the files that secrets are read from, in the order of
// secrets in the table.
type secretFiles [5]string

// withFiles adds behind each secret the setting that names its file.
func withFiles(settings []Setting, files *secretFiles) []Setting {
	out := make([]Setting, 0, len(settings)+len(files))
	n := 0
	for _, s := range settings {
		out = append(out, s)
		if s.Secret() {
			out = append(out, Setting{
				Name: s.Name + fileSuffix, Value: (*TextValue)(&files[n]), Reload: s.Reload, secret: s.Name,
				Usage: "file that holds " + s.Name + ", and nothing else",
			})
			n++
		}
	}
	return out
}

// resolveSecrets reads the secrets that files hold: those that a NAME-file names, unless
// a higher source has the secret itself, and those that systemd passes on, if nothing
// else names them.
func (l *loader) resolveSecrets(directory string) {
	for i := range l.settings {
		s := &l.settings[i]
		if s.secret == "" {
			continue
		}
		text, file := l.config.origins[s.secret], l.config.origins[s.Name]
		path := s.Value.String()
		switch {
		case path != "" && file.Source == text.Source:
			l.fail(file, "%s and %s are both given: keep one of them", s.secret, s.Name)
		case path != "" && file.Source > text.Source:
			file.Path = path
			l.readSecret(s.secret, file)
		case path != "": // a higher source has the secret itself
			_ = s.Value.Set("")
			delete(l.config.origins, s.Name)
		case text.Source == FromDefault && directory != "":
			path = filepath.Join(directory, s.secret)
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				l.readSecret(s.secret, Origin{Source: FromCredential, Name: path})
			}
		}
	}
}

// readSecret sets a secret from the file that from tells of. A line end behind it
// belongs to the file.
func (l *loader) readSecret(name string, from Origin) {
	path := from.Path
	if path == "" {
		path = from.Name
	}
	text, open, err := readShort(path, secretMax)
	secret := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	if err == nil && secret == "" {
		err = errors.New("it is empty")
	}
	if err == nil {
		err = find(l.settings, name).Value.Set(secret)
	}
	if err != nil {
		l.fail(from, "%s: the file %s: %w", name, path, withoutPath(err))
		return
	}
	if open && from.Source != FromCredential { // systemd's are as systemd wants them
		l.warn("%s holds %s and can be read by others: chmod 600 it", path, name)
	}
	l.config.origins[name] = from
}

const pipePatience = 10 * time.Second

// readShort reads a file of at most limit bytes, and says whether others than its owner
// may read it. A pipe is read to its end, but not waited for: one that nobody writes to is
// empty, and one that stays open is given up after a while.
func readShort(path string, limit int64) (text string, open bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(pipePatience)) // of a file that is none, it means nothing
	info, err := f.Stat()
	if err != nil {
		return "", false, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("it is longer than %s", FormatSize(limit))
	}
	if err == nil && len(b) == 0 && info.Mode()&os.ModeNamedPipe != 0 {
		err = errors.New("it is a pipe that nobody writes to")
	}
	return string(b), runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0, err
}

// withoutPath is the reason of an error about a file whose path was said already.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
