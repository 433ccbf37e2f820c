package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/tidemill/tidemill/engine"
)

const queueName = "queue name" // in errors

// enqueue is POST /v2/enqueue/{queue}/{destination}: a publish into a queue, which is
// made if there is none (QSTASH.md §3.9). The queue is one segment of the raw path.
func (x *exchange) enqueue() error {
	name, rest, _ := bytes.Cut(x.arg, []byte{'/'})
	if fail := checkName(queueName, name); fail != nil {
		return fail
	}
	x.arg = rest
	if fail := x.pub.set(optQueue, name, fromHeader); fail != nil {
		return fail
	}
	return x.publish()
}

// setQueue is POST /v2/queues: it makes a queue or changes one.
func (x *exchange) setQueue() error {
	name, change, fail := x.queueChange()
	if fail == nil {
		fail = x.mayQueue(name)
	}
	if fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.SetQueue(x.user, name, change); err != nil {
		return err
	}
	return x.done()
}

func (x *exchange) queueChange() (name string, c engine.QueueChange, fail *failure) {
	var rawName, parallelism, paused []byte
	fail = x.cutBody("queueName, parallelism and paused", func(name []byte) *[]byte {
		switch string(name) {
		case "queueName":
			return &rawName
		case "parallelism":
			return &parallelism
		case "paused":
			return &paused
		}
		return nil
	})
	if fail != nil {
		return "", c, fail
	}
	given, fail := stringMember("queueName", rawName)
	if fail == nil {
		fail = checkName("queueName", given)
	}
	if fail == nil {
		c.Parallelism, fail = numberMember("parallelism", parallelism)
	}
	if fail == nil {
		c.Paused, fail = boolMember("paused", paused)
	}
	if fail == nil && c.Parallelism != nil && *c.Parallelism > engine.QueueParallelismMax {
		fail = &failure{
			status: http.StatusPreconditionFailed,
			text:   fmt.Sprintf("quota maxQueueParallelism exceeded. Maximum allowed: %d", engine.QueueParallelismMax),
		}
	}
	return string(given), c, fail
}

func (x *exchange) queues() error {
	qs, err := x.srv.opt.Engine.Queues(x.user)
	if err != nil {
		return err
	}
	qs = slices.DeleteFunc(qs, func(q engine.QueueInfo) bool { return !x.seesQueue(q.Name) })
	return x.list(len(qs), func(o *obj, i int) { o.queue(&qs[i]) })
}

// queue writes the members of a queue object, all of them always (QSTASH.md §8.4).
func (o *obj) queue(q *engine.QueueInfo) {
	o.str("name", q.Name)
	o.num("parallelism", int64(q.Parallelism))
	o.time("createdAt", q.Created)
	o.time("updatedAt", q.Updated)
	o.num("lag", int64(q.Lag))
	o.flag("paused", q.Paused)
}

// namedQueue checks the queue that the path names.
func (x *exchange) namedQueue() *failure {
	if fail := checkName(queueName, x.arg); fail != nil {
		return fail
	}
	return x.mayQueue(view(x.arg))
}

func (x *exchange) queue() error {
	if fail := x.namedQueue(); fail != nil {
		return fail
	}
	q, err := x.srv.opt.Engine.Queue(x.user, string(x.arg))
	if err != nil {
		return err
	}
	return x.one(func(o *obj) { o.queue(q) })
}

// deleteQueue is DELETE /v2/queues/{name}. One that is not there is no failure.
func (x *exchange) deleteQueue() error {
	if fail := x.namedQueue(); fail != nil {
		return fail
	}
	if err := x.srv.opt.Engine.DeleteQueue(x.user, string(x.arg)); err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	return x.done()
}

// pauseQueue makes the handler of pause or resume.
func pauseQueue(paused bool) func(x *exchange) error {
	return func(x *exchange) error {
		if fail := x.namedQueue(); fail != nil {
			return fail
		}
		if err := x.srv.opt.Engine.SetQueue(x.user, string(x.arg), engine.QueueChange{Paused: &paused}); err != nil {
			return err
		}
		return x.done()
	}
}
