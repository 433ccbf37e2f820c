package engine

import (
	"time"

	"github.com/tidemill/tidemill/engine/cron"
)

// previewTicks lists n ticks after a time, and what is odd about the days between them.
// What fires comes offset ms later than its tick.
func previewTicks(expr string, r TimeRules, after, offset int64, n int) ([]PreviewTick, error) {
	x, err := cron.Parse(expr, r.cronOptions())
	if err != nil {
		return nil, limitError("invalid cron expression: %v", err)
	}
	n = min(max(n, 0), PreviewMax)
	out := make([]PreviewTick, 0, n)
	for range n {
		t, ok := x.Next(after)
		if !ok {
			break
		}
		for _, o := range x.LeftOut(after, t) {
			out = append(out, PreviewTick{Time: local(x, o.At), Skipped: true, Note: o.String()})
		}
		out = append(out, PreviewTick{Time: local(x, t+offset), Note: x.Explain(t).String()})
		after = t
	}
	return out, nil
}

func local(x *cron.Expr, ms int64) time.Time { return time.UnixMilli(ms).In(x.Location()) }
