package main

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/webhookout"
)

func TestReceivers(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.require(t)
			testReceiver(t, s.start(t))
		})
	}
}

func testReceiver(t *testing.T, r *running) {
	ctx := context.Background()
	const first = `pässwörd "<&>' ✓ with spaces `
	target := r.target(t, newSecret)
	apply := func(step string, c reset.Change, want reset.Verdict) reset.Attempt {
		t.Helper()
		got := target.Apply(ctx, c)
		if got.Verdict != want {
			t.Fatalf("%s: got %+v, want verdict %d\n%s", step, got, want, r.log.String())
		}
		return got
	}
	for hook, ping := range map[string]func(context.Context) []webhookout.Finding{"change": target.Ping, "lookup": r.lookup(t, newSecret).Ping} {
		for _, f := range ping(ctx) {
			if f.Problem != "" {
				t.Errorf("ping of the %s hook: %+v\n%s", hook, f, r.log.String())
			}
		}
	}
	for hook, ping := range map[string]func(context.Context) []webhookout.Finding{"change": r.target(t, otherSecret).Ping, "lookup": r.lookup(t, otherSecret).Ping} {
		found := ping(ctx)
		if f := found[len(found)-1]; f.Step != webhookout.StepHook || !f.Broken || !strings.Contains(f.Problem, "401") {
			t.Errorf("ping of the %s hook with a wrong secret: %+v", hook, found)
		}
	}

	var hash string
	stored := func(step string, anew bool) {
		t.Helper()
		before := hash
		if hash = r.hash(t); (hash != before) != anew {
			t.Errorf("%s: the password was stored: %v, want %v", step, !anew, anew)
		}
	}

	alice := []reset.Account{{ID: "42", Login: "alice", Email: "alice@example.com", Name: "Alice", Locale: "en"}}
	lookup := r.lookup(t, newSecret)
	for login, want := range map[string][]reset.Account{
		"alice": alice, "ALICE@Example.com": alice, "nobody": nil, "": nil, "' OR 1=1 --": nil, "al%": nil, "al\u0131ce": nil,
	} {
		got, err := lookup.Lookup(ctx, login)
		if err != nil {
			t.Fatalf("lookup of %q: %v\n%s", login, err, r.log.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lookup of %q: %s", login, diff)
		}
	}

	apply("first change", newChange("chg_1", 1000, first), reset.Applied)
	stored("first change", true)
	if !matches(t, hash, first) {
		t.Error("the stored password is another one")
	}
	apply("repeat", newChange("chg_1", 1000, "another password"), reset.Applied)
	stored("repeat", false)
	apply("lower sequence", newChange("chg_0", 999, "another password"), reset.Superseded)
	stored("lower sequence", false)
	if n := r.applied("chg_1"); n != 1 {
		t.Errorf("the first change was applied %d times", n)
	}

	for _, step := range []string{"refused", "refused again"} {
		if got := apply(step, newChange("chg_2", 2000, "Alice's password"), reset.Refused); got.Detail != "The password must not contain your user name." {
			t.Errorf("%s: detail %q", step, got.Detail)
		}
	}
	stored("refused", false)
	apply("a repeat of a refused one is judged anew", newChange("chg_2", 2000, "a better password"), reset.Applied)
	stored("judged anew", true)

	// Ten at a time, of one sequence with the change before.
	var repeats sync.WaitGroup
	for range 10 {
		repeats.Go(func() {
			if got := target.Apply(ctx, newChange("chg_3", 2000, "one of ten")); got.Verdict != reset.Applied {
				t.Errorf("repeat at the same time: %+v", got)
			}
		})
	}
	repeats.Wait()
	if n := r.applied("chg_3"); n != 1 {
		t.Errorf("a change was applied %d times", n)
	}
	stored("repeats at the same time", true)

	gone := newChange("chg_4", 3000, "another password")
	gone.Account.ID = "43"
	apply("no such account", gone, reset.Gone)

	for name, secrets := range map[string][]string{"old": {oldSecret}, "newest and old": {otherSecret, oldSecret}} {
		if got := r.target(t, secrets...).Apply(ctx, gone); got.Verdict != reset.Gone {
			t.Errorf("rotation, signed with the %s secret: %+v", name, got)
		}
	}
	if got := r.target(t, otherSecret).Apply(ctx, gone); got.Verdict != reset.Retry || !got.Alarm || !strings.Contains(got.Err.Error(), "401") {
		t.Errorf("signed with a wrong secret: %+v", got)
	}

	body := `{"type":"account.lookup","data":{"site":"x","login":"alice"}}`
	ping := `{"type":"ping","timestamp":"2026-01-02T03:04:05Z","data":{"site":"x"}}`
	now := time.Now()
	requests := []struct {
		name       string
		path       string
		at         time.Time
		sent, sign string // bodies
		signatures string // %s stands for the right one
		want       int
	}{
		{"right", "/hooks/lookup", now, body, body, "%s", 200},
		{"290 s old", "/hooks/lookup", now.Add(-290 * time.Second), body, body, "%s", 200},
		{"310 s old", "/hooks/lookup", now.Add(-310 * time.Second), body, body, "%s", 401},
		{"310 s ahead", "/hooks/lookup", now.Add(310 * time.Second), body, body, "%s", 401},
		{"body changed", "/hooks/lookup", now, strings.Replace(body, "alice", "alicf", 1), body, "%s", 401},
		{"unknown version first", "/hooks/lookup", now, body, body, "v1a,AAAA %s", 200},
		{"unsigned", "/hooks/lookup", now, body, body, "", 401},
		{"signature without version", "/hooks/lookup", now, body, body, "v1,", 401},
		{"message for the other hook", "/hooks/password-changed", now, body, body, "%s", 400},
		{"no hook", "/hooks", now, body, body, "%s", 404},
		{"unknown type", "/hooks/lookup", now, `{"type":"pong"}`, `{"type":"pong"}`, "%s", 400},
		{"ping", "/hooks/lookup", now, ping, ping, "%s", 204},
		{"ping", "/hooks/password-changed", now, ping, ping, "%s", 204},
		{"ping, forged", "/hooks/lookup", now, ping, ping + " ", "%s", 401},
		{"ping, unsigned", "/hooks/password-changed", now, ping, ping, "", 401},
	}
	oracle, err := standardwebhooks.NewWebhook(newSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range requests {
		signature, err := oracle.Sign("msg_1", q.at, []byte(q.sign))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+q.path, strings.NewReader(q.sent))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("webhook-id", "msg_1")
		req.Header.Set("webhook-timestamp", fmt.Sprint(q.at.Unix()))
		req.Header.Set("webhook-signature", strings.ReplaceAll(q.signatures, "%s", signature))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", q.name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != q.want {
			t.Errorf("%s: %d, want %d\n%s", q.name, resp.StatusCode, q.want, r.log.String())
		}
	}
}

func newChange(id string, sequence int64, password string) reset.Change {
	return reset.Change{
		Site: "app.example.com", ID: id, ResetID: "R-1", Sequence: sequence,
		Account: reset.Account{ID: "42", Login: "alice"}, Format: "plain", Password: password, At: time.Now(),
	}
}

// matches says whether a hash, of the kinds that the samples make, is that of
// a password.
func matches(t *testing.T, hash, password string) bool {
	t.Helper()
	if strings.HasPrefix(hash, "$2y$") {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
	}
	var n int
	var salt, key []byte
	if _, err := fmt.Sscanf(strings.ReplaceAll(hash, "$", " "), "pbkdf2-sha256 %d %x %x", &n, &salt, &key); err != nil || n < 600_000 || len(salt) < 16 || len(key) != 32 {
		t.Fatalf("hash %q: %v", hash, err)
	}
	got, err := pbkdf2.Key(sha256.New, password, salt, n, len(key))
	return err == nil && bytes.Equal(got, key)
}
