package engine

import (
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/dispatch"
	"github.com/tidemill/tidemill/engine/record"
)

// NoticeKind says what a Notice is about.
type NoticeKind string

// Kinds of notices.
const (
	// NoticeDeadLetter: a message to Host has become a dead letter, the first one for a day.
	// So a host that keeps failing is told of once, and again after a quiet day.
	NoticeDeadLetter NoticeKind = "dead_letter"
	// NoticeCircuitOpened: Host has answered none of the last attempts and is probed by one
	// attempt at a time (L4). NoticeCircuitClosed: it has answered again.
	NoticeCircuitOpened NoticeKind = "circuit_opened"
	NoticeCircuitClosed NoticeKind = "circuit_closed"
	// NoticeDiskLow: publishes are refused for want of room, Free of Floor bytes.
	// NoticeDiskOK: they are accepted again.
	NoticeDiskLow NoticeKind = "disk_low"
	NoticeDiskOK  NoticeKind = "disk_ok"
	// NoticeDamage: a place of the log is not as it was written (W7).
	NoticeDamage NoticeKind = "damage"
)

// Notice is something that an operator wants to hear of without looking for it. It holds no
// secret: of a destination its host, never its path.
type Notice struct {
	Kind NoticeKind
	At   time.Time

	Host    string        // "scheme://host:port", as in Hosts
	Error   string        // of NoticeDeadLetter and NoticeCircuitOpened: why the last attempt failed
	Free    int64         // bytes; of NoticeDiskLow and NoticeDiskOK
	Floor   int64         // data.min-free, bytes; of the same
	Damaged *DamagedRange // of NoticeDamage
	row     *record.Row   // whose host is to be looked up; the core knows hosts by numbers
}

// noticesMax bounds the notices that wait. Those beyond it are left out: the core waits for
// nobody, and where so much happens at once there is enough to hear.
const noticesMax = 1024

// deadQuiet is how long a host has no dead letters before the next one is told of, and
// deadHostsMax how many hosts are remembered for that.
const (
	deadQuiet    = 24 * time.Hour
	deadHostsMax = 8192
)

// notices are on their way from where something happened, which may be the core, to who is
// told. deadHosts is owned by noticeLoop.
type notices struct {
	queue     chan Notice
	deadHosts map[uint64]time.Time // when the last dead letter was
}

func (n *notices) init() {
	n.queue = make(chan Notice, noticesMax)
	n.deadHosts = map[uint64]time.Time{}
}

// push hands a notice over. It never waits.
func (n *notices) push(v Notice) {
	select {
	case n.queue <- v:
	default:
	}
}

// notify is push, with the time.
func (e *Engine) notify(v Notice) {
	v.At = e.opts.Wall()
	e.notices.push(v)
}

// noticeLoop tells the log and Options.Notify. It has a goroutine of its own since both may
// be slow, and a host's name stands in the log's records.
func (e *Engine) noticeLoop() {
	for {
		select {
		case <-e.stop:
			return
		case v := <-e.notices.queue:
			e.tell(&v)
		}
	}
}

func (e *Engine) tell(v *Notice) {
	if v.Kind == NoticeDeadLetter && !e.notices.firstDead(v.row.Host, v.At) {
		return
	}
	if v.row != nil {
		if v.Host = e.destination(v.row); v.Host == "" {
			return // its record is gone or damaged, which is told in other ways
		}
	}
	e.logNotice(v)
	if e.opts.Notify != nil {
		e.opts.Notify(*v)
	}
}

// logNotice writes the line of a notice that has none where it comes from.
func (e *Engine) logNotice(v *Notice) {
	host := slog.String("host", v.Host)
	switch v.Kind {
	case NoticeDeadLetter:
		e.opts.Logger.Warn("engine: messages to a host become dead letters; it is told again after a day without any", host, slog.String("error", v.Error))
	case NoticeCircuitOpened:
		e.opts.Logger.Warn("engine: a host does not answer and is probed by one attempt at a time until it does", host, slog.String("error", v.Error))
	case NoticeCircuitClosed:
		e.opts.Logger.Info("engine: a host answers again", host)
	}
}

// firstDead says whether a dead letter of a host is the first one for a day.
func (n *notices) firstDead(host uint64, at time.Time) bool {
	last, known := n.deadHosts[host]
	if !known && len(n.deadHosts) >= deadHostsMax {
		n.forgetQuiet(at)
	}
	n.deadHosts[host] = at
	return !known || at.Sub(last) > deadQuiet
}

// forgetQuiet makes room: hosts that were quiet for a day are as good as unknown. Where that
// is not enough all are forgotten, and may be told of a second time.
func (n *notices) forgetQuiet(now time.Time) {
	for host, at := range n.deadHosts {
		if now.Sub(at) > deadQuiet {
			delete(n.deadHosts, host)
		}
	}
	if len(n.deadHosts) >= deadHostsMax {
		clear(n.deadHosts)
	}
}

// destination returns the host that a message's attempts go to, "" if that cannot be read.
func (e *Engine) destination(row *record.Row) string {
	if d := e.pulls.byID(row.Host); d != nil {
		name, err := dispatch.HostKey(d.URL)
		if err != nil {
			return ""
		}
		return name
	}
	return e.hostName(row)
}

// noteHost notes that an attempt has made its host half-open, or has ended that.
func (c *core) noteHost(i uint32, was bool, r *attemptResult) {
	e := &c.entries[i]
	is := c.hosts[e.host].failures >= failuresToHalfOpen
	if is == was {
		return
	}
	v := Notice{Kind: NoticeCircuitClosed}
	if is {
		v = Notice{Kind: NoticeCircuitOpened, Error: r.outcome.Error}
	}
	c.notice(e, v)
}

// notice asks for a notice about the host of an entry.
func (c *core) notice(e *entry, v Notice) {
	row := c.row(e)
	v.At, v.row = time.UnixMilli(c.now), &row
	c.out.notices = append(c.out.notices, v)
}
