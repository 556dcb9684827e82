package reset_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/kvtest"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// foreignWords are words that a row must not bend.
func foreignWords() *reset.Words {
	return &reset.Words{Subject: "Dein Paßwort \u2028 <&>", Text: "Code: @ResetCode\r\n\x00\x1b\ufffd{\"words\":null}" + strings.Repeat("語", 100)}
}

// Five accounts that share a login, each as large as a directory lets one be,
// with words of the greatest length: what is written at once stays within the
// limits of the store.
func TestWordsOfAllAccountsOfALogin(t *testing.T) {
	const many = reset.MaxAccounts
	login := strings.Repeat("<", 254) // six bytes each in a row
	words := &reset.Words{Subject: strings.Repeat("\x00", 200), Text: strings.Repeat("\x01", reset.MaxWords-200)}
	test := func(t *testing.T, w *world) {
		var accounts []reset.Account
		for n := range many {
			accounts = append(accounts, reset.Account{
				ID: fmt.Sprint(n) + strings.Repeat("&", 127), Login: login, Name: strings.Repeat("<", 64), Locale: strings.Repeat("a", 35),
				Email: strings.Repeat("ü", 32) + fmt.Sprintf("@%d.", n) + strings.Repeat("a.", 85) + "example",
			})
		}
		w.dir.put(login, accounts...)
		w.request(reset.Request{Login: login, Dialect: "buddy", Words: words, LinkTTL: 55 * time.Minute})
		letters := map[string]reset.Letter{}
		w.until(55*time.Minute, "a letter to each", func() bool {
			for _, l := range w.relay.all(reset.LetterReset) {
				letters[l.To.ID] = l
			}
			return len(letters) == many
		})
		for id, l := range letters {
			if diff := cmp.Diff(words, l.Words); diff != "" || l.Dialect != "buddy" || l.LinkTTL != 55*time.Minute || !strings.HasPrefix(l.Link, "https://app.example.com/buddy/") {
				t.Errorf("letter to %.1s: %q, %s, %s\n%s", id, l.Dialect, l.LinkTTL, l.Link, diff)
			}
		}
	}
	run := func(name string, store func(t *testing.T) kv.Store) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, store(t))
				w.sole = true
				w.start()
				test(t, w)
			})
		})
	}
	run("sealed store", func(t *testing.T) kv.Store { return sealedStore(t, kvtest.Memory()) })
	for seed := range uint64(4) {
		// Without phantoms: reading large rows that are none only takes time.
		run(fmt.Sprintf("hostile store %d", seed), func(*testing.T) kv.Store {
			return kvtest.Faults{Seed: seed, Phantom: -1}.Wrap(kvtest.Memory())
		})
	}
}

func TestWordsThatAreNotTaken(t *testing.T) {
	inWorld(t, func(c *reset.SiteConfig) { c.PerIP = reset.Window{N: 1, Per: time.Hour} }, func(t *testing.T, w *world) {
		for name, words := range map[string]reset.Words{
			"long text":            {Text: strings.Repeat("x", reset.MaxWords+1)},
			"long subject":         {Subject: strings.Repeat("x", reset.MaxWords+1)},
			"long together":        {Subject: "x", Text: strings.Repeat("x", reset.MaxWords)},
			"long in bytes":        {Text: strings.Repeat("ü", reset.MaxWords/2) + "x"},
			"text not UTF-8":       {Text: "a\xffb"},
			"subject not UTF-8":    {Subject: "a\xed\xa0\x80b"},
			"a character cut off":  {Text: "語"[:2]},
			"overlong, not UTF-8 ": {Text: "\xc0\x80"},
		} {
			ref, err := w.site.Request(context.Background(), reset.Request{Login: "alice", Dialect: "buddy", Words: &words, ClientIP: client})
			if !errors.Is(err, reset.ErrWords) || ref != "" {
				t.Errorf("%s: %q, %v", name, ref, err)
			}
		}
		time.Sleep(time.Minute)
		if dump := w.dump(); dump != "" || w.relay.count(reset.LetterReset) != 0 {
			t.Errorf("stored:\n%.500s", dump)
		}
		// They did not count against the client either.
		words := &reset.Words{Subject: "x", Text: strings.Repeat("x", reset.MaxWords-1)}
		if _, err := w.site.Request(context.Background(), reset.Request{Login: "alice", Dialect: "buddy", Words: words, ClientIP: client}); err != nil {
			t.Errorf("words of the greatest length: %v", err)
		}
		w.until(time.Minute, "the letter", func() bool { return w.relay.count(reset.LetterReset) == 1 })
	})
}

// sealedStore opens a sealed store on another one.
func sealedStore(t *testing.T, inner kv.Store) *sealed.Store {
	t.Helper()
	s, err := sealed.Open(context.Background(), inner, sealed.Options{Keys: [][]byte{bytes.Repeat([]byte{7}, sealed.KeySize)}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A copyist keeps every byte that was ever written.
type copyist struct {
	kv.Store
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (c *copyist) Update(ctx context.Context, fn func(kv.Tx) error) error {
	return c.Store.Update(ctx, func(tx kv.Tx) error { return fn(copyingTx{tx, c}) })
}

type copyingTx struct {
	kv.Tx
	c *copyist
}

func (t copyingTx) Put(key, value []byte) error {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.c.bytes.Write(key)
	t.c.bytes.Write(value)
	return t.Tx.Put(key, value)
}

// holds tells whether text is in what was written, as it is or in base64 at
// any offset.
func (c *copyist) holds(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Contains(c.bytes.Bytes(), []byte(text)) {
		return true
	}
	for offset := range 3 {
		// The characters at both ends depend on what stands around the text.
		code := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("-", offset) + text))
		if bytes.Contains(c.bytes.Bytes(), []byte(code[4:len(code)-1])) {
			return true
		}
	}
	return false
}

// The words of a caller may name a person, and the subject be a message.
func TestWordsAreNowhereInClear(t *testing.T) {
	const subject, text, dialect, login = "canary in the subject", "a canary in the middle of the text", "the name of a dialect", "family@example.com"
	run := func(t *testing.T, c *copyist, store kv.Store, indexer kv.Indexer) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, store)
			w.sole = true
			w.startWith(func(config *reset.Config) {
				if indexer != nil {
					config.Indexer = indexer
				}
			})
			w.relay.say(func(reset.Letter) reset.Delivery { return reset.Delivery{Status: reset.NotSent} })
			words := reset.Words{Subject: subject, Text: "Dear friend, " + text + ": @ResetCode"}
			w.request(reset.Request{Login: login, Dialect: dialect, Words: &words})
			time.Sleep(10 * time.Minute)
			w.relay.say(nil)
			w.until(time.Hour, "both letters", func() bool { return w.relay.count(reset.LetterReset) == 2 })
			if log := w.logText(); strings.Contains(log, "canary") {
				t.Errorf("the log holds the words:\n%s", log)
			}
		})
	}
	bare := &copyist{Store: kvtest.Memory()}
	run(t, bare, bare, nil)
	for _, secret := range []string{subject, text, dialect, login} {
		if !bare.holds(secret) {
			t.Fatalf("the test tests nothing: it does not find %q where nothing is sealed", secret)
		}
	}
	below := &copyist{Store: kvtest.Memory()}
	store := sealedStore(t, below)
	run(t, below, store, store)
	for _, secret := range []string{subject, text, dialect, login} {
		if below.holds(secret) {
			t.Errorf("%q is in the store in clear", secret)
		}
	}
}

// A row with words is large: a queue that is not drained would fill the disk.
// A caller whose words no filter lets through must not keep somebody from every
// mail by using up what their account may have.
func TestWordsThatTheRelayDoesNotTake(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.relay.say(func(l reset.Letter) reset.Delivery {
			if l.Words != nil {
				return reset.Delivery{Status: reset.Unwanted, Err: errors.New("554 5.7.1")}
			}
			return reset.Delivery{Status: reset.Sent}
		})
		w.request(reset.Request{Login: "alice", Dialect: "buddy", Words: foreignWords()})
		w.until(2*time.Minute, "a letter in our own words", func() bool { return w.relay.count(reset.LetterReset) == 1 })
		w.wantChange(token(w.relay.last(reset.LetterReset).Link), good, reset.StatusChanged)
		if strings.Contains(w.logText(), `"alarm":true`) {
			t.Error("the operator is called for what a caller has written")
		}
	})
}

func TestLongQueueTakesNoWords(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		for n := range 2000 {
			w.request(reset.Request{Login: fmt.Sprint("nobody", n)})
		}
		w.request(reset.Request{Login: "alice", Dialect: "buddy", Words: foreignWords()})
		w.until(time.Hour, "the letter", func() bool { return w.relay.count(reset.LetterReset) > 0 })
		if l := w.relay.last(reset.LetterReset); l.Words != nil || l.Dialect != "buddy" {
			t.Errorf("letter: %+v", l)
		}
		w.until(time.Hour, "an empty queue", func() bool {
			return strings.Count(w.logText(), "reset ended without a mail") == 2000
		})
		w.request(reset.Request{Login: "bob", Dialect: "buddy", Words: foreignWords()})
		w.until(time.Hour, "the second letter", func() bool { return w.relay.count(reset.LetterReset) > 1 })
		if l := w.relay.last(reset.LetterReset); l.Words == nil {
			t.Errorf("letter: %+v", l)
		}
	})
}
