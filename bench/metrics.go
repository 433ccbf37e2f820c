package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// adminAnswerMax bounds what an admin listener answers.
const adminAnswerMax = 16 << 20

// askAdmin gets a path of a server's admin listener.
func askAdmin(ctx context.Context, admin, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+path, nil)
	if err != nil {
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	req.Close = true // nothing stays behind in this process, or in the server's descriptors
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, adminAnswerMax))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d: %.200s", path, resp.StatusCode, body)
	}
	if err != nil {
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	return body, nil
}

// metric takes the value of a metric without labels from Prometheus's text form.
func metric(text []byte, name string) (float64, error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}
