package engine

import (
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// A message id is "msg_" and 22 base-58 digits of 16 bytes: the message's seq
// and its nonce. The seq finds the message without an index of ids, the nonce
// makes an id unguessable; neither depends on the clock (P26). Ids are opaque to
// clients (QSTASH.md §0.2).
const (
	idPrefix = "msg_"
	idDigits = 22
	alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

var errBadID = errors.New("not a message id")

// MessageID returns the id of the message with this seq and nonce.
func MessageID(seq, nonce uint64) string {
	var out [len(idPrefix) + idDigits]byte
	return string(appendMessageID(out[:0], seq, nonce))
}

func appendMessageID(dst []byte, seq, nonce uint64) []byte {
	var out [idDigits]byte
	putBase58(out[:], seq, nonce)
	return append(append(dst, idPrefix...), out[:]...)
}

// Base 58 is written ten digits at a time: as many as fit a word, so that 128 bits are
// divided three times and not once for every digit.
const (
	chunkDigits = 10
	chunk       = 58 * 58 * 58 * 58 * 58 * 58 * 58 * 58 * 58 * 58
)

// putBase58 writes hi·2^64+lo as exactly len(dst) digits; those before them are left out.
func putBase58(dst []byte, hi, lo uint64) {
	for len(dst) > 0 {
		var digits uint64
		rest := hi % chunk
		hi /= chunk
		lo, digits = bits.Div64(rest, lo, chunk)
		at := max(len(dst)-chunkDigits, 0)
		for i := len(dst) - 1; i >= at; i-- {
			dst[i] = alphabet[digits%58]
			digits /= 58
		}
		dst = dst[:at]
	}
}

// parseMessageID is the inverse of MessageID.
func parseMessageID(id string) (seq, nonce uint64, err error) {
	s, ok := strings.CutPrefix(id, idPrefix)
	if !ok || len(s) != idDigits {
		return 0, 0, errBadID
	}
	n, base := new(big.Int), big.NewInt(58)
	for i := range len(s) {
		d := strings.IndexByte(alphabet, s[i])
		if d < 0 {
			return 0, 0, errBadID
		}
		n.Add(n.Mul(n, base), big.NewInt(int64(d)))
	}
	if n.BitLen() > 128 {
		return 0, 0, errBadID
	}
	var b [16]byte
	n.FillBytes(b[:])
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]), nil
}

// A dead letter's id is "<unix ms>-<LSN of the outcome that made it one>": the
// form the clients know, and it finds the row by itself.
func deadID(at int64, lsn uint64) string {
	return strconv.FormatInt(at, 10) + "-" + strconv.FormatUint(lsn, 10)
}

func parseDeadID(id string) (at int64, lsn uint64, err error) {
	ms, n, ok := strings.Cut(id, "-")
	if !ok {
		return 0, 0, errBadID
	}
	if at, err = strconv.ParseInt(ms, 10, 64); err != nil {
		return 0, 0, errBadID
	}
	if lsn, err = strconv.ParseUint(n, 10, 64); err != nil || deadID(at, lsn) != id {
		return 0, 0, errBadID
	}
	return at, lsn, nil
}
