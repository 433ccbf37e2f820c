package engine

import (
	"time"

	"github.com/tidemill/tidemill/engine/cron"
)

// previewTicks evaluates an expression from after on; what fires comes offset ms later.
func previewTicks(expr string, r TimeRules, after, offset int64, n int) ([]PreviewTick, error) {
	x, err := cron.Parse(expr, r.cronOptions())
	if err != nil {
		return nil, limitError("invalid cron expression: %v", err)
	}
	var out []PreviewTick
	for len(out) < min(n, PreviewMax) {
		t, ok := x.Next(after)
		if !ok {
			break
		}
		out = append(out, PreviewTick{Time: time.UnixMilli(t + offset).In(x.Location())})
		after = t
	}
	return out, nil
}
