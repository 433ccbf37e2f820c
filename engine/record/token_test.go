package record

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func sampleToken() Token {
	return Token{
		Flags: TokenAdmin, User: 7, Created: 1_800_000_000_000, Expires: 1_900_000_000_000, Access: AccessPublish,
		Hash: [32]byte{0: 0xA1, 7: 0x0B, 31: 0xF1}, Name: "of the shop",
		Queues: []string{"orders", "mails"}, Groups: []string{"everybody"}, Hosts: []string{"shop.example", "*.example.org"},
	}
}

// tokenSamples are the records of tokens and deleted accounts.
func tokenSamples() map[string]appender {
	k := sampleToken()
	return map[string]appender{
		"token": &k, "droptoken": &DropToken{User: 7, ID: k.ID()}, "dropuser": &DropUser{User: 7, Last: 12},
	}
}

func drawTokenRecord(t *rapid.T) appender {
	user := rapid.Uint32().Draw(t, "user")
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return &DropToken{User: user, ID: rapid.Uint64().Draw(t, "id")}
	case 1:
		return &DropUser{User: user, Last: rapid.Uint32().Draw(t, "last")}
	}
	k := &Token{
		Flags: uint16(rapid.IntRange(0, int(TokenAdmin)).Draw(t, "flags")), User: user,
		Created: rapid.Int64().Draw(t, "created"), Expires: rapid.Int64().Draw(t, "expires"),
		Access: uint8(rapid.IntRange(0, int(AccessRead)).Draw(t, "access")), Name: text(t, "name"),
	}
	copy(k.Hash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
	for _, l := range k.limits() {
		*l.list = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string { return text(t, "limit") }), 0, 4).Draw(t, "limits")
	}
	return k
}

// withTokenField returns a token with one more field, of which its head knows.
func withTokenField(tag Tag) []byte {
	k := sampleToken()
	p := appendField(k.Append(nil), tag, "")
	le.PutUint32(p[28:], uint32(len(p)-tokenHead))
	return p
}

// TestTokenFields: a token without a hash or a name, or with two of them, is none.
func TestTokenFields(t *testing.T) {
	k := sampleToken()
	p := k.Append(nil)
	hash := appendField(nil, tagTokenHash, k.Hash[:])
	name := appendField(nil, tagName, "n")
	for what, fields := range map[string][]byte{
		"neither": nil, "no name": hash, "no hash": name,
		"two hashes": append(append(append([]byte{}, hash...), hash...), name...), "two names": append(append(append([]byte{}, hash...), name...), name...),
		"a short hash": append(appendField(nil, tagTokenHash, "short"), name...),
	} {
		q := append(p[:tokenHead:tokenHead], fields...)
		le.PutUint32(q[28:], uint32(len(fields)))
		if err := DecodeToken(q, new(Token)); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
