package commands

import (
	"net/url"

	"github.com/spf13/cobra"
)

// pick is how a call on many names what it is about: ids as arguments, filters, or --all. What is
// not named one by one needs --yes.
type pick struct {
	filters *filters
	noun    string
	all     *bool
	yes     *bool
}

// bindPick defines the flags; what and but are those of bindFilters.
func bindPick(c *cobra.Command, noun, what string, but ...string) *pick {
	return &pick{
		noun:    noun,
		all:     c.Flags().Bool("all", false, "all there are"),
		yes:     bindYes(c),
		filters: bindFilters(c, what, but...),
	}
}

// selected checks that exactly one way is used, and returns the filters. does is what the command
// does to all that match.
func (p *pick) selected(ids []string, does string) (url.Values, error) {
	q, err := p.filters.query()
	if err != nil {
		return nil, err
	}
	ways := 0
	for _, used := range []bool{len(ids) > 0, len(q) > 0, *p.all} {
		if used {
			ways++
		}
	}
	switch {
	case ways == 0:
		return nil, usage("which %s? Give ids, filters (--queue, --label, ...) or --all", p.noun)
	case ways > 1:
		return nil, usage("give ids, filters or --all: one of the three")
	case len(ids) > 0:
		return q, named("ID", ids)
	}
	return q, confirmed(*p.yes, does)
}
