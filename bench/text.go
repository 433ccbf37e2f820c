package bench

import (
	"encoding/base64"
	"fmt"
)

// textPath is where a sink takes messages whose bodies are texts.
const textPath = "/text"

// texts makes and recognises bodies that can stand in JSON, as the elements of a batch
// must: each is the base64 form of one of bodies. It is immutable.
type texts struct {
	*bodies
}

// newTexts makes texts of size bytes, or up to three less.
func newTexts(size int) *texts { return &texts{newBodies(max(size/4*3, stampBytes))} }

// size is the length of a text.
func (t *texts) size() int { return base64.StdEncoding.EncodedLen(t.bodies.size()) }

// appendTo appends the text of a stamped body.
func (t *texts) appendTo(dst, body []byte) []byte {
	return base64.StdEncoding.AppendEncode(dst, body)
}

// parse makes a body of what arrived.
func (t *texts) parse(text []byte) ([]byte, error) {
	body, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes that are no text: %w", ErrCorrupt, len(text), err)
	}
	return body, nil
}
