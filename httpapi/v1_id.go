package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/tidemill/tidemill/engine"
)

// The first API names topics and endpoints by ids, which outlive a change of the name or the
// URL (QSTASH.md §0.2). Nothing of it is stored: a topic's id is the time of its creation,
// which no other group has, an endpoint's is that of its topic and a hash of what tells it
// from the topic's others. So groups that were made by the present API have ids as well.
const (
	topicPrefix    = "tpc_"
	endpointPrefix = "ept_"
	endpointHash   = 12 // bytes
)

func topicID(created time.Time) string {
	return encodeID(topicPrefix, created, nil)
}

// topicOfID is the inverse of topicID.
func topicOfID(id string) (created time.Time, ok bool) {
	return decodeID(topicPrefix, id, 0)
}

// endpointID is of the endpoint's name if it has one, else of its URL. An endpoint whose URL
// is changed by its id has that id as its name from then on, and so keeps it.
func endpointID(topic time.Time, e *engine.Endpoint) string {
	if of, ok := topicOfEndpoint(e.Name); ok && of.Equal(topic) {
		return e.Name
	}
	text := e.URL
	if e.Name != "" {
		text = "\x00" + e.Name // no URL begins so
	}
	sum := sha256.Sum256([]byte(text))
	return encodeID(endpointPrefix, topic, sum[:endpointHash])
}

// topicOfEndpoint returns when the topic was created that an endpoint's id is of.
func topicOfEndpoint(id string) (created time.Time, ok bool) {
	return decodeID(endpointPrefix, id, endpointHash)
}

func encodeID(prefix string, created time.Time, more []byte) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(created.UnixMilli()))
	return prefix + base64.RawURLEncoding.EncodeToString(append(b, more...))
}

// decodeID reads an id with this many bytes after the time.
func decodeID(prefix, id string, more int) (created time.Time, ok bool) {
	s, ok := strings.CutPrefix(id, prefix)
	if !ok || len(s) != base64.RawURLEncoding.EncodedLen(8+more) {
		return created, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return created, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b))), true
}
