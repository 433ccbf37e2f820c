package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Single measures what one lone producer waits for an acknowledgement, over what it has to
// wait for at least: a sync of the disk and an HTTP exchange, each measured by itself in the
// same run (row 3).
func Single(ctx context.Context, o SingleOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.PublishOptions.validate(); err != nil {
		return nil, fmt.Errorf("bench single: %w", err)
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	server, err := procs.server(ctx, o.Server)
	if err != nil {
		return nil, err
	}
	echo, err := procs.start(ctx, RoleEcho)
	if err != nil {
		return nil, err
	}
	echo.Token = server.Token
	disk, err := newSlab(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, disk.close()) }()
	sides := make([]contender, 3)
	if sides[0], err = publisher("server", server, &o.PublishOptions); err != nil {
		return nil, err
	}
	if sides[1], err = publisher("echo", echo, &o.PublishOptions); err != nil {
		return nil, err
	}
	sides[2] = disk.contender(singleBlock)
	results, err := runRounds(ctx, &o.Common, 1, sides)
	if err != nil {
		return nil, err
	}
	report = newReport("single", "ops/s", &o.Common)
	report.add(1, results)
	report.Runs[0].Ratios = []Ratio{overBoth(&results[0], &results[1], &results[2])}
	return report, nil
}

// singleBlock is what is made durable for one message: what a disk writes at least.
const singleBlock = 4 << 10

// overBoth compares a p50 with the sum of two, round by round.
func overBoth(of, a, b *Side) Ratio {
	each := make([]float64, len(of.Rounds))
	for i := range each {
		each[i] = float64(of.Rounds[i].P50) / float64(a.Rounds[i].P50+b.Rounds[i].P50)
	}
	return Ratio{
		What: "p50", Of: of.Name, Over: a.Name + "+" + b.Name,
		Median: median(each), Min: slices.Min(each), Max: slices.Max(each), Values: each,
	}
}
