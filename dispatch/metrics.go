package dispatch

// Classes are all of them.
func Classes() []Class {
	out := make([]Class, classCount)
	for i := range out {
		out[i] = Class(i)
	}
	return out
}

// count takes the end of an attempt.
func (c *counters) count(r *Result) {
	c.classes[r.Class].Add(1)
	if r.Class == OK {
		digit := r.Status / 100
		if digit >= len(c.statuses) {
			digit = 0
		}
		c.statuses[digit].Add(1)
	}
}
