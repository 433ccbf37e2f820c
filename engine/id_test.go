package engine

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMessageIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seq, nonce := rapid.Uint64().Draw(t, "seq"), rapid.Uint64().Draw(t, "nonce")
		id := MessageID(seq, nonce)
		gotSeq, gotNonce, err := parseMessageID(id)
		if err != nil || gotSeq != seq || gotNonce != nonce || len(id) != len(idPrefix)+idDigits {
			t.Fatalf("%q: %d %d %v", id, gotSeq, gotNonce, err)
		}
	})
}

// TestPutBase58 compares it with arithmetic of any length, for all widths that are written.
func TestPutBase58(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hi, lo := rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")
		dst := make([]byte, rapid.IntRange(0, idDigits+2).Draw(t, "digits"))
		putBase58(dst, hi, lo)
		n := new(big.Int).SetUint64(hi)
		n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(lo))
		for i := len(dst) - 1; i >= 0; i-- {
			var d big.Int
			if n.DivMod(n, big.NewInt(58), &d); alphabet[d.Int64()] != dst[i] {
				t.Fatalf("digit %d of %q is wrong", i, dst)
			}
		}
	})
}

// BenchmarkMessageID is what an id costs a publish.
func BenchmarkMessageID(b *testing.B) {
	b.ReportAllocs()
	for seq := uint64(1 << 32); b.Loop(); seq++ {
		if len(MessageID(seq, seq*0x9e3779b97f4a7c15)) == 0 {
			b.Fatal("no id")
		}
	}
}

// TestMessageIDOrder: ids sort as their messages were accepted.
func TestMessageIDOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Uint64Max(1<<63).Draw(t, "a")
		b := rapid.Uint64Range(a+1, 1<<64-1).Draw(t, "b")
		if MessageID(a, 1<<64-1) >= MessageID(b, 0) {
			t.Fatalf("%d and %d", a, b)
		}
	})
}

func TestParseMessageIDRefuses(t *testing.T) {
	tooLarge := new(big.Int).Lsh(big.NewInt(1), 128) // one past the largest
	digits := make([]byte, idDigits)
	for i := idDigits - 1; i >= 0; i-- {
		var d big.Int
		tooLarge.DivMod(tooLarge, big.NewInt(58), &d)
		digits[i] = alphabet[d.Int64()]
	}
	for _, id := range []string{
		"", "msg_", "msg", "xxx_" + strings.Repeat("1", idDigits), "msg_" + strings.Repeat("1", idDigits-1),
		"msg_" + strings.Repeat("0", idDigits), "msg_" + string(digits), "msg_" + strings.Repeat("z", idDigits),
	} {
		if _, _, err := parseMessageID(id); err == nil {
			t.Errorf("%q was taken", id)
		}
	}
}

func TestDeadID(t *testing.T) {
	at, lsn, err := parseDeadID(deadID(1725323658779, 1<<40))
	if err != nil || at != 1725323658779 || lsn != 1<<40 {
		t.Errorf("%d %d %v", at, lsn, err)
	}
	for _, id := range []string{"", "-", "1-", "-1", "1-+1", "01-1", "1-01", "1-1-1", "1 -1", "1-18446744073709551616"} {
		if _, _, err := parseDeadID(id); err == nil {
			t.Errorf("%q was taken", id)
		}
	}
}
