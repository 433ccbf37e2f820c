package record

import "fmt"

// groupHead: 4 user u32, 8 created i64, 16 updated i64, 24 old u64, 32 old len u32, 36 fields u32.
const groupHead = 40

// Group is the newest definition of a URL group (QSTASH.md §8.5). The newest record of a
// user and name wins.
type Group struct {
	User      uint32
	Name      string
	Created   int64 // unix ms
	Updated   int64 // unix ms
	Endpoints []Endpoint
	Header    []Header // options of every publish to the group, as the caller names them
	Old       uint64   // where the definition stood that this one replaces, 0: nowhere
	OldLen    uint32
}

// Endpoint is one destination of a group.
type Endpoint struct {
	URL  string
	Name string // "" for none
}

// Size returns the number of bytes that Append adds.
func (g *Group) Size() int { return groupHead + g.fieldsSize() }

func (g *Group) fieldsSize() int {
	n := fieldSize(len(g.Name)) + headersSize(g.Header)
	for i := range g.Endpoints {
		n += fieldSize(len(g.Endpoints[i].URL)) + fieldSize(len(g.Endpoints[i].Name))
	}
	return n
}

// Append appends the encoded definition to dst. It keeps nothing of g.
func (g *Group) Append(dst []byte) []byte {
	var h [groupHead]byte
	h[0], h[1] = byte(TypeGroup), version
	le.PutUint32(h[4:], g.User)
	le.PutUint64(h[8:], uint64(g.Created))
	le.PutUint64(h[16:], uint64(g.Updated))
	le.PutUint64(h[24:], g.Old)
	le.PutUint32(h[32:], g.OldLen)
	le.PutUint32(h[36:], uint32(g.fieldsSize()))
	dst = appendField(append(dst, h[:]...), tagTopic, g.Name)
	for i := range g.Endpoints {
		dst = appendField(dst, tagURL, g.Endpoints[i].URL)
		dst = appendField(dst, tagEndpoint, g.Endpoints[i].Name)
	}
	return appendHeaders(dst, g.Header, tagHeaderName, tagHeaderVal)
}

// DecodeGroup decodes a payload; it keeps nothing of p.
func DecodeGroup(p []byte, g *Group) error {
	if err := check(p, TypeGroup, groupHead, 0); err != nil {
		return err
	}
	if n := le.Uint32(p[36:]); uint64(n) != uint64(len(p)-groupHead) {
		return fmt.Errorf("%w: a group with %d bytes of fields, and it has %d", ErrTruncated, n, len(p)-groupHead)
	}
	*g = Group{
		User: le.Uint32(p[4:]), Created: int64(le.Uint64(p[8:])), Updated: int64(le.Uint64(p[16:])),
		Old: le.Uint64(p[24:]), OldLen: le.Uint32(p[32:]),
	}
	return g.decodeFields(p[groupHead:])
}

func (g *Group) decodeFields(p []byte) error {
	var r headerReader
	open, names := false, 0 // open: an endpoint's name is to come
	err := fields(p, func(tag Tag, v []byte) error {
		if open != (tag == tagEndpoint) {
			return fmt.Errorf("%w: an endpoint's destination without its name", ErrTruncated)
		}
		open = tag == tagURL
		switch tag {
		case tagTopic:
			g.Name = string(v)
			names++
		case tagURL:
			g.Endpoints = append(g.Endpoints, Endpoint{URL: string(v)})
		case tagEndpoint:
			g.Endpoints[len(g.Endpoints)-1].Name = string(v)
		case tagHeaderName:
			return r.name(string(v))
		case tagHeaderVal:
			return r.value(string(v))
		default:
			return unknownTag(TypeGroup, tag)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if open || names != 1 || g.Name == "" || len(g.Endpoints) > MembersMax {
		return fmt.Errorf("%w: a group of %d names and %d endpoints", ErrTruncated, names, len(g.Endpoints))
	}
	g.Header = r.hs
	return r.done()
}

// dropGroupHead: 4 user u32, 8 old u64, 16 old len u32, 20 zero u32.
const dropGroupHead = 24

// DropGroup deletes a URL group. What was published to it stays.
type DropGroup struct {
	User   uint32
	Name   string
	Old    uint64 // where its definition stood
	OldLen uint32
}

// Append appends the encoded record to dst.
func (d *DropGroup) Append(dst []byte) []byte {
	var h [dropGroupHead]byte
	h[0], h[1] = byte(TypeDropGroup), version
	le.PutUint32(h[4:], d.User)
	le.PutUint64(h[8:], d.Old)
	le.PutUint32(h[16:], d.OldLen)
	return appendField(append(dst, h[:]...), tagTopic, d.Name)
}

// DecodeDropGroup decodes a payload; it keeps nothing of p.
func DecodeDropGroup(p []byte, d *DropGroup) error {
	if err := check(p, TypeDropGroup, dropGroupHead, 0); err != nil {
		return err
	}
	if err := zero(TypeDropGroup, p[20:dropGroupHead]); err != nil {
		return err
	}
	*d = DropGroup{User: le.Uint32(p[4:]), Old: le.Uint64(p[8:]), OldLen: le.Uint32(p[16:])}
	return onlyField(TypeDropGroup, p[dropGroupHead:], tagTopic, &d.Name)
}
