package bench

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Ceilings measures what the machine itself can do, without any product: one writer that
// makes blocks of a file durable, checksums, HTTP exchanges with a bare server, a bare
// client that calls the sink, and a relay that keeps messages in memory. What a server
// reaches is to be seen beside these (PERFORMANCE.md §3).
func Ceilings(ctx context.Context, o CeilingsOptions) (report *Report, err error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bench ceilings: %w", err)
	}
	report = newReport("ceilings", "ops/s", &o.Common)
	if err := diskCeilings(ctx, &o, report); err != nil {
		return nil, err
	}
	procs, ctx := newChildren(ctx, o.Spawn)
	defer func() { err = procs.end(err) }()
	echo, err := procs.start(ctx, RoleEcho)
	if err != nil {
		return nil, err
	}
	relay, err := procs.start(ctx, RoleRelay)
	if err != nil {
		return nil, err
	}
	d := &delivery{
		o:      &DeliverOptions{Common: o.Common, Hosts: o.Hosts, DrainTimeout: 30 * time.Second},
		bodies: newBodies(o.BodyBytes),
	}
	if d.sink, err = openSink(o.Hosts, 2, d.bodies); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.sink.close()) }()
	for _, c := range o.Concurrency {
		if err := httpCeilings(ctx, d, c, echo, relay, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// diskBlocks are the sizes of what is made durable at once: a record, a group of records,
// and one under load.
var diskBlocks = []int{4 << 10, 16 << 10, 64 << 10}

func diskCeilings(ctx context.Context, o *CeilingsOptions, report *Report) (err error) {
	s, err := newSlab(o.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	sides := make([]contender, len(diskBlocks))
	for i, size := range diskBlocks {
		sides[i] = s.contender(size)
	}
	results, err := runRounds(ctx, &o.Common, 1, sides)
	if err != nil {
		return err
	}
	report.add(1, results)
	for _, size := range []int{1 << 10, 64 << 10} {
		f := Figure{Name: fmt.Sprintf("crc32c of %d KiB", size>>10), Unit: "GB/s"}
		for range o.Rounds {
			f.Values = append(f.Values, checksumRate(size))
		}
		report.figures(f)
	}
	return nil
}

// checksumBytes is what one measurement of checksums goes over: about a hundredth of a second.
const checksumBytes = 128 << 20

// checksumRate is how many GB a second are summed up in blocks of a size, in cache.
func checksumRate(size int) float64 {
	table, block := crc32.MakeTable(crc32.Castagnoli), newBodies(size).blank()
	sum, began := uint32(0), time.Now()
	for range checksumBytes / size {
		sum = crc32.Update(sum, table, block)
	}
	elapsed := time.Since(began)
	block[0] = byte(sum) // or the compiler might leave it all out
	return checksumBytes / elapsed.Seconds() / 1e9
}

func httpCeilings(ctx context.Context, d *delivery, c int, echo, relay Server, report *Report) error {
	publish := PublishOptions{Common: d.o.Common, Delay: time.Hour, Destination: "http://127.0.0.1:9/"}
	bare, err := publisher("echo", echo, &publish)
	if err != nil {
		return err
	}
	through, err := d.through("relay", 0, relay, c)
	if err != nil {
		return err
	}
	results, err := runRounds(ctx, &d.o.Common, c, []contender{bare, d.direct("client", 1), through})
	if err != nil {
		return err
	}
	report.add(c, results)
	return nil
}
