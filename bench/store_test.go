package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// Each grant of a grown store opens what a minted one does, for its own account,
// and those that have expired are swept.
func TestGrownStore(t *testing.T) {
	inStore(t, func(t *testing.T, path, token string) {
		now := time.Now()
		expired := cohort{first: 1, count: 20, oldest: now.Add(-4 * grantLife), span: grantLife, expired: true}
		live := cohort{first: 21, count: 100, oldest: now.Add(-mintedIn), span: mintedIn}
		if err := fillStore(t.Context(), path, token, expired, live); err != nil {
			t.Fatal(err)
		}
		wantOverdue(t, path, expired.count)
		s := openSite(t, path)
		for n := expired.first; n < live.first; n++ {
			if result, err := s.change(expired.token(n)); !errors.Is(err, reset.ErrGrant) {
				t.Fatalf("expired grant %d: %v, %v", n, result, err)
			}
		}
		for n := live.first; n < live.first+live.count; n++ {
			if _, err := s.change(live.token(n)[:22] + live.token(n + 1)[22:]); !errors.Is(err, reset.ErrGrant) {
				t.Fatalf("grant %d by the verifier of another: %v", n, err)
			}
			if result, err := s.change(live.token(n)); err != nil || result.Status != reset.StatusChanged {
				t.Fatalf("grant %d: %v, %v", n, result, err)
			}
			if s.applied != holder(n) {
				t.Fatalf("grant %d set the password of %s", n, s.applied)
			}
		}
		time.Sleep(sweepAfter + time.Second)
		s.close(t)
		wantOverdue(t, path, 0)
	})
}

// A grant is the same to the store, whether it was minted or made.
func TestGrownRows(t *testing.T) {
	inStore(t, func(t *testing.T, path, token string) {
		minted := shapes(t, path)
		now := time.Now()
		if err := fillStore(t.Context(), path, token, cohort{first: 1, count: 1, oldest: now, span: time.Second}); err != nil {
			t.Fatal(err)
		}
		want := make(map[string]int)
		for shape, n := range minted {
			want[shape] = 2 * n
		}
		if diff := cmp.Diff(want, shapes(t, path)); diff != "" {
			t.Errorf("rows of one minted and one made (-want +got):\n%s", diff)
		}
		if err := fillStore(t.Context(), path, token, cohort{first: 2, count: 1, oldest: now.Add(-mintedIn), span: time.Second}); err == nil {
			t.Error("a store with more than one mail was taken for a mould")
		}
	})
}

// A grant whose code has ended long ago lies in a store as one does that was
// minted while its server ran, and swept.
func TestGrownRowsSwept(t *testing.T) {
	inStore(t, func(t *testing.T, path, token string) {
		const older = 12 * time.Hour
		c := cohort{first: 1, count: 1, oldest: mintedAt(t, token).Add(-older), span: time.Second}
		if err := fillStore(t.Context(), path, token, c); err != nil {
			t.Fatal(err)
		}
		wantOverdue(t, path, 0)
		s := openSite(t, path)
		time.Sleep(reset.DefaultCodeTTL + 2*time.Minute)
		s.close(t)
		rows := scan(t, path, []byte{'x'})
		places := len(rows) / 2 // one for each minute in which some of it goes
		if diff := cmp.Diff(map[string]int{"a": 2, "g": 2, "l": 4, "x": 2 * places}, tables(shapes(t, path))); diff != "" || places == 0 {
			t.Fatalf("rows of one minted and one made (-want +got):\n%s", diff)
		}
		for i, made := range rows[:places] {
			minted := rows[places+i]
			if apart := timeOf(minted.Key) - timeOf(made.Key); apart != older.Milliseconds() || minted.Key[7] != made.Key[7] || len(minted.Value) != len(made.Value) {
				t.Errorf("minted %q, %d bytes; made %q, %d bytes; %d ms apart", minted.Key, len(minted.Value), made.Key, len(made.Value), apart)
			}
		}
	})
}

// mintedAt is when the mail with a token was sent.
func mintedAt(t *testing.T, token string) time.Time {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(raw) >> 16))
}

// inStore runs a test, in fake time, on a store in which one mail was sent.
func inStore(t *testing.T, test func(t *testing.T, path, token string)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(27 * 365 * 24 * time.Hour) // bubbles begin in 2000; times have a digit more
		path := filepath.Join(t.TempDir(), "reset.db")
		if _, err := sealed.CreateKeyFile(filepath.Join(filepath.Dir(path), "reset.key")); err != nil {
			t.Fatal(err)
		}
		s := openSite(t, path)
		if _, err := s.Request(t.Context(), reset.Request{Login: holder(0)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(spread + time.Second)
		s.close(t)
		if s.token == "" {
			t.Fatal("no mail")
		}
		test(t, path, s.token)
	})
}

// A testSite is a site on a store file, and all its peers.
type testSite struct {
	*reset.Site
	service *reset.Service
	file    *embeddedstore.Store
	store   *sealed.Store

	token, applied string
}

func openSite(t *testing.T, path string) *testSite {
	t.Helper()
	key, err := sealed.LoadKeyFile(filepath.Join(filepath.Dir(path), "reset.key"))
	if err != nil {
		t.Fatal(err)
	}
	s := new(testSite)
	if s.file, err = embeddedstore.Open(t.Context(), embeddedstore.Options{Path: path}); err != nil {
		t.Fatal(err)
	}
	if err := s.file.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if s.store, err = sealed.Open(t.Context(), s.file, sealed.Options{Keys: [][]byte{key}, Marker: s.file}); err != nil {
		t.Fatal(err)
	}
	s.service, err = reset.New(reset.Config{
		Store: s.store, Indexer: s.store, Era: s.store.Era(), Exclusive: true,
		Sites: []reset.SiteConfig{{
			ID: siteID, Directory: s, Target: s, Composer: s, Mailer: s, Passwords: s, Links: s,
			LinkTTL: grantLife, PerAccount: reset.DefaultPerAccount(),
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.service.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Site = s.service.Site(siteID)
	t.Cleanup(func() { s.close(t) })
	return s
}

func (s *testSite) change(token string) (reset.Result, error) {
	return s.Change(context.Background(), reset.NewPassword{Token: token, Password: "seven lamps over the bridge"})
}

func (s *testSite) close(t *testing.T) {
	t.Helper()
	s.service.Stop(t.Context())
	if err := s.store.Close(); err != nil {
		t.Error(err)
	}
}

func (*testSite) Lookup(_ context.Context, login string) ([]reset.Account, error) {
	return []reset.Account{{ID: login, Login: login, Email: login + "@example.com"}}, nil
}

func (s *testSite) Apply(_ context.Context, c reset.Change) reset.Attempt {
	s.applied = c.Account.ID
	return reset.Attempt{Verdict: reset.Applied}
}

func (s *testSite) Compose(l reset.Letter) (reset.Message, error) {
	return reset.Message{Data: []byte(l.Link)}, nil
}

func (s *testSite) Send(_ context.Context, m reset.Message) reset.Delivery {
	if len(m.Data) > 0 {
		s.token = string(m.Data)
	}
	return reset.Delivery{Status: reset.Sent}
}

func (*testSite) Check(string, []string) []passwords.Reason { return nil }
func (*testSite) Rules() passwords.Rules                    { return passwords.Rules{} }
func (*testSite) Link(_, token string) string               { return token }
func (*testSite) CancelLink(string) string                  { return "" }
func (*testSite) AskLink() string                           { return "" }

// shapes counts the rows of a store by table, length of the key and of the value.
func shapes(t *testing.T, path string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, row := range scan(t, path, []byte{1}) { // behind the sentinel
		counts[fmt.Sprintf("%c: %d, %d", row.Key[0], len(row.Key), len(row.Value))]++
	}
	return counts
}

// tables counts shapes by table.
func tables(shapes map[string]int) map[string]int {
	counts := make(map[string]int)
	for shape, n := range shapes {
		counts[shape[:1]] += n
	}
	return counts
}

// scan returns the rows of a store from a key on, as they lie in the file.
func scan(t *testing.T, path string, from []byte) (rows []kv.Pair) {
	t.Helper()
	inner, err := openBulk(path)
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	err = inner.View(t.Context(), func(r kv.Reader) (err error) {
		rows, err = r.Scan(from, nil, 10_000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func wantOverdue(t *testing.T, path string, want int) {
	t.Helper()
	if got, err := overdue(path); got != want || err != nil {
		t.Errorf("%d grants to be swept, %v; want %d", got, err, want)
	}
}
