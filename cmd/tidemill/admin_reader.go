package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/cmd/internal/exit"
)

// adminOf is the admin listener beside an API on this machine, nil if there can be none.
func adminOf(api string) *adminReader {
	u, err := url.Parse(api)
	if err != nil {
		return nil
	}
	addr, err := netip.ParseAddr(u.Hostname())
	local := u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
	port, err := strconv.Atoi(u.Port())
	if !local || err != nil || port+1000 > 65535 {
		return nil
	}
	return newAdminReader("http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port+1000)))
}

// adminReader reads what the admin listener tells without being asked to do anything.
type adminReader struct {
	base string
	http *http.Client
}

// adminTimeout is for a whole answer. They are short.
const adminTimeout = 10 * time.Second

func newAdminReader(base string) *adminReader {
	return &adminReader{base, &http.Client{Transport: &http.Transport{}, Timeout: adminTimeout}} // no proxy: as in source.ask
}

// Get reads an answer into v.
func (a *adminReader) Get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, http.NoBody)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return exit.With(exit.Unavailable, fmt.Errorf("no server answers: %w\nName its admin listener with --from URL, or its API with QSTASH_URL", err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return exit.With(exit.Unavailable, fmt.Errorf("%s: %s", a.base, adminAnswer(resp)))
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return exit.With(exit.Unavailable, fmt.Errorf("%s%s: %w", a.base, path, err))
	}
	return nil
}
