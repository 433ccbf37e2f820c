package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestBackupOfServerUnderLoad is P14 with the real binary: a backup is taken while messages
// are published and delivered, and the machine is lost right after. On the restored
// directory, elsewhere, a server knows everything that was acknowledged before the backup
// began: it delivers what is due, what waits is there by its id, and so are dead letters.
func TestBackupOfServerUnderLoad(t *testing.T) {
	builtBinary(t)
	seed := envNumber(t, "TIDEMILL_CRASH_SEED", rand.Uint64())
	t.Logf("seed %d", seed)
	dir, book := filepath.Join(t.TempDir(), "data"), newBook(seed)
	p := start(t, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0", "--destinations.allow", "127.0.0.0/8")
	token := readCredentials(t, dir).Token
	waiting := publishAll(t, p.url()+"/v2/publish/http://example.com/", token, "Upstash-Delay", "1h")
	dead := publishAll(t, p.url()+"/v2/publish/http://127.0.0.1"+portOf(freeAddr(t))+"/", token, "Upstash-Retries", "0")
	awaitDead(t, p, token, dead)

	load := startLoad(t, p.url()[len("http://"):], token, book, openSinks(t, 2, book), seed,
		setup{publishers: 8, delayOneIn: 2, delayMax: 3 * time.Second, rate: 600})
	load.gate.open()
	for deadline := time.Now().Add(time.Minute); book.acked.Load() < 600; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d messages acknowledged\n%s", book.acked.Load(), p.output())
		}
	}
	acked, left := book.ackedNow(), book.outstanding()
	to := filepath.Join(t.TempDir(), "copy")
	backUp(t, p, to)
	meanwhile := book.acked.Load() - int64(len(acked))
	p.kill()
	load.stop()
	if meanwhile == 0 || left == 0 {
		t.Errorf("%d messages were acknowledged during the backup, %d were pending when it began: that is no load", meanwhile, left)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}

	dir = filepath.Join(t.TempDir(), "elsewhere")
	words := restoreTo(t, to, dir)
	p = start(t, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin.listen", "off", "--destinations.allow", "127.0.0.0/8")
	for deadline := time.Now().Add(time.Minute); slices.ContainsFunc(acked, book.pending); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("messages that were acknowledged before the backup do not come, among them %v\n%s", book.missing(10), p.output())
		}
	}
	for _, id := range waiting {
		if status, answer := call(t, "GET", p.url()+"/v2/messages/"+id, token, ""); status != 200 {
			t.Errorf("a message that waits: %d %s", status, answer)
		}
	}
	awaitDead(t, p, token, dead)
	for _, complaint := range book.complaints() {
		t.Error(complaint)
	}
	p.stop(t)
	t.Logf("%d messages were acknowledged before the backup, of which %d were pending, and %d during it; %s", len(acked), left, meanwhile, words)
}

// publishAll publishes ten messages and returns their ids.
func publishAll(t *testing.T, url, token string, header ...string) (ids []string) {
	t.Helper()
	for range 10 {
		status, answer := call(t, "POST", url, token, "kept", header...)
		if status != 200 {
			t.Fatalf("publish: %d %s", status, answer)
		}
		ids = append(ids, messageID([]byte(answer)))
	}
	return ids
}

// awaitDead waits until these messages, and no others, are dead letters.
func awaitDead(t *testing.T, p *process, token string, ids []string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, answer := call(t, "GET", p.url()+"/v2/dlq", token, "")
		var page struct{ Messages []letter }
		if err := json.Unmarshal([]byte(answer), &page); err != nil {
			t.Fatalf("%v in %s", err, answer)
		}
		var got []string
		for _, m := range page.Messages {
			got = append(got, m.MessageID)
		}
		slices.Sort(got)
		if slices.Equal(got, slices.Sorted(slices.Values(ids))) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("dead letters of %v, want %v", got, ids)
		}
	}
}
