package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/tidemill/tidemill/engine"
)

// The first API names topics and endpoints by ids (QSTASH.md §0.2). Nothing of it is stored:
// a topic's id is its name in another form, an endpoint's that of its topic and a hash of
// what tells it from the topic's others. So groups that were made by the present API have
// ids as well. A topic that is renamed has another one.
const (
	topicPrefix    = "tpc_"
	endpointPrefix = "ept_"
	endpointHash   = 12 // bytes
)

func topicID(name string) string {
	return topicPrefix + base64.RawURLEncoding.EncodeToString([]byte(name))
}

// topicOfID is the inverse of topicID.
func topicOfID(id string) (name string, ok bool) {
	return decodeID(topicPrefix, id)
}

// endpointID is of the endpoint's name if it has one, else of its URL. An endpoint whose URL
// is changed by its id has that id as its name from then on, and so keeps it.
func endpointID(topic string, e *engine.Endpoint) string {
	if of, ok := topicOfEndpoint(e.Name); ok && of == topic {
		return e.Name
	}
	text := e.URL
	if e.Name != "" {
		text = "\x00" + e.Name // no URL begins so
	}
	sum := sha256.Sum256([]byte(text))
	return endpointPrefix + base64.RawURLEncoding.EncodeToString(append(sum[:endpointHash], topic...))
}

// topicOfEndpoint returns the name of the topic that an endpoint's id is of.
func topicOfEndpoint(id string) (topic string, ok bool) {
	s, ok := decodeID(endpointPrefix, id)
	if !ok || len(s) <= endpointHash {
		return "", false
	}
	return s[endpointHash:], true
}

func decodeID(prefix, id string) (text string, ok bool) {
	s, ok := strings.CutPrefix(id, prefix)
	if !ok {
		return "", false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return string(b), err == nil && len(b) > 0
}
