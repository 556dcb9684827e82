package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// storeDir is where the example keeps its store, below the world's home.
var storeDir = filepath.Join("caddy", "password_reset")

// asked is how many people ask for a mail in a power-cut test.
const asked = 20

// What was answered outlives a power cut: for each answer, the power goes at
// the moment before its first byte leaves, and what no sync had covered is
// lost, all of it or some sectors. From the first start on, so the making of
// the store is in it too.
func TestAnswersOutliveAPowerCut(t *testing.T) {
	t.Parallel()
	strace := need(t, "strace", "strace")
	w := newWorld(t)
	w.employ(people(asked+3), nil)
	answers, d := w.traced(strace, w.hasty)
	for login, a := range answers {
		t.Run(login, func(t *testing.T) {
			t.Parallel()
			left, ok := d.answers[a.Port]
			if !ok {
				t.Fatal("its answer is not in the trace")
			}
			if err := (&image{files: left.least, site: siteID(w), used: a.used}).holds(t, login, a.owed); err != nil {
				t.Error(err)
			}
			if err := (&image{files: left.torn, site: siteID(w), used: a.used}).holds(t, login, a.owed); err != nil {
				t.Errorf("with some sectors of what was not synced: %v", err)
			}
		})
	}
}

// The test above finds what it is there for: a program that does not sync.
func TestPowerCutTestFindsMissingSyncs(t *testing.T) {
	t.Parallel()
	strace := need(t, "strace", "strace")
	w := newWorld(t)
	w.employ(people(asked), nil)
	w.Binary = filepath.Join(w.Home, "nosync")
	if err := build(w.Binary, "-tags", "nosync"); err != nil {
		t.Fatal(err)
	}
	answers, d := w.traced(strace, w.askAll)
	lost := 0
	for login, a := range answers {
		if (&image{files: d.answers[a.Port].least, site: siteID(w)}).holds(t, login, reset.LetterReset) != nil {
			lost++
		}
	}
	t.Logf("%d of %d answers were lost", lost, len(answers))
	if lost == 0 {
		t.Error("a store that is never synced outlives a power cut")
	}
}

// An answered is a request that somebody was told is in good hands.
type answered struct {
	reply
	owed reset.LetterKind // what must still be mailed
	used string           // token of a link that must not work any more
}

// traced runs the program under strace while act is at work, and replays what
// it did with its store.
func (w *world) traced(strace string, act func() map[string]answered) (map[string]answered, *disk) {
	w.t.Helper()
	trace := filepath.Join(w.Home, "trace")
	w.Wrap = []string{
		strace, "-f", "-yy", "-xx", "-ttt", "--seccomp-bpf", "-s", fmt.Sprint(1 << 26), "-o", trace, "-e", "signal=none", "-e", "trace=" + tracedCalls,
	}
	w.start()
	answers := act()
	w.stop()
	f, err := os.Open(trace)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	dir, err := filepath.EvalSymlinks(filepath.Join(w.Home, storeDir))
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := replay(f, dir)
	if err != nil {
		w.t.Fatalf("replaying the trace: %v", err)
	}
	torn := 0
	for _, left := range d.answers {
		if !maps.EqualFunc(left.least, left.torn, bytes.Equal) {
			torn++
		}
	}
	w.t.Logf("%d syncs, %d answers, %d of them while something was not synced", d.syncs, len(d.answers), torn)
	return answers, d
}

// askAll has many people ask at the same time, by form and JSON.
func (w *world) askAll() map[string]answered {
	var mu sync.Mutex
	answers := make(map[string]answered, asked)
	var visitors sync.WaitGroup
	for i := range asked {
		visitors.Go(func() {
			login := fmt.Sprintf("person-%d", i)
			body, want := `{"login":"`+login+`"}`, http.StatusAccepted
			if i%2 == 0 {
				body, want = "login="+login, http.StatusSeeOther
			}
			r, err := w.try("POST", "/password-reset", body, from(i)...)
			if err != nil || r.Status != want {
				w.t.Errorf("%s asks: %d %s %v", login, r.Status, r.Body, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answers[login] = answered{reply: r, owed: w.owed(login, 1, reset.LetterReset)}
		})
	}
	visitors.Wait()
	// The jobs of the answers are all due when this returns; see holds.
	for login := range answers {
		w.mail(login+"@example.com", 1)
	}
	return answers
}

// hasty is askAll, and three people who change their passwords meanwhile: two
// are told that it is done, the last that it will be.
func (w *world) hasty() map[string]answered {
	var tokens []string
	for i := range 3 {
		w.ask(fmt.Sprintf("person-%d", asked+i))
	}
	for i := range 3 {
		tokens = append(tokens, w.token(w.mail(fmt.Sprintf("person-%d@example.com", asked+i), 1)))
	}
	changes := make([]answered, 3)
	change := func(i int, status string) {
		r := w.do("POST", "/password-reset/new", `{"token":"`+tokens[i]+`","password":"a calm sea at night"}`)
		if !strings.Contains(r.Body, status) {
			w.t.Errorf("change %d was answered %d: %s", i, r.Status, r.Body)
		}
		changes[i] = answered{reply: r, owed: w.owed(fmt.Sprintf("person-%d", asked+i), 2, reset.LetterChanged), used: tokens[i]}
	}
	var answers map[string]answered
	var visitors sync.WaitGroup
	visitors.Go(func() { answers = w.askAll() })
	for i := range 2 {
		visitors.Go(func() { change(i, `"changed"`) })
	}
	visitors.Wait()
	w.App.SetDown(true)
	change(2, `"pending"`)
	for i, c := range changes {
		answers[fmt.Sprintf("person-%d", asked+i)] = c
	}
	return answers
}

// owed returns the letter, unless it has come already as the n-th mail: on a
// slow machine that may be before the answer.
func (w *world) owed(login string, n int, letter reset.LetterKind) reset.LetterKind {
	for _, m := range w.Inbox.Mails() {
		if m.To == login+"@example.com" {
			n--
		}
	}
	if n <= 0 {
		return ""
	}
	return letter
}

// siteID is what the program calls the site of the example.
func siteID(w *world) string { return strings.TrimPrefix(w.Site, "http://") }

// An image is what a power cut left in the folder of the store.
type image struct {
	files map[string][]byte
	site  string
	used  string // token of a link that must not work any more
}

// holds returns nil if the store opens, is sound, and what comes after a
// restart mails the letter to the login; "" is no letter in particular.
func (m *image) holds(t *testing.T, login string, want reset.LetterKind) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if m.files["reset.db"] == nil || m.files["reset.key"] == nil {
		return fmt.Errorf("there is no store, only %v", slices.Sorted(maps.Keys(m.files)))
	}
	dir := t.TempDir()
	for name, content := range m.files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, err := sealed.LoadKeyFile(filepath.Join(dir, "reset.key"))
	if err != nil {
		return err
	}
	file, err := embeddedstore.Open(ctx, embeddedstore.Options{Path: filepath.Join(dir, "reset.db")})
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Check(ctx); err != nil {
		return err
	}
	store, err := sealed.Open(ctx, file, sealed.Options{Keys: [][]byte{key}, Marker: file})
	if err != nil {
		return err
	}
	defer store.Close()

	post := &post{letters: make(map[string]reset.LetterKind), came: make(chan struct{}, 1)}
	service, err := reset.New(reset.Config{
		Store: store, Indexer: store, Era: store.Era(), Exclusive: true,
		Sites: []reset.SiteConfig{{
			ID: m.site, Directory: everybody{}, Target: willing{}, Composer: post, Mailer: post, Passwords: anything{}, Links: nowhere{},
		}},
	})
	if err != nil {
		return err
	}
	if err := service.Start(ctx); err != nil {
		return err
	}
	defer service.Stop(ctx)
	if m.used != "" {
		if g, err := service.Site(m.site).Look(ctx, m.used, netip.Addr{}); err == nil && !g.Claimed {
			return errors.New("the link that was used works again")
		}
	}

	if want == "" {
		return nil
	}

	// Jobs are taken in the order in which they come due, and all on the image
	// are. Once a later one is done, one that is not there will not come.
	if _, err := service.Site(m.site).Request(ctx, reset.Request{Login: "later"}); err != nil {
		return err
	}
	for post.letter(login) == "" && (want != reset.LetterReset || post.letter("later") == "") {
		select {
		case <-post.came:
		case <-ctx.Done():
			return fmt.Errorf("nothing came for %s", login)
		}
	}
	service.Stop(ctx) // whatever had begun is done now
	if got := post.letter(login); got != want {
		return fmt.Errorf("%s was mailed %q, not %q", login, got, want)
	}
	return nil
}

// The peers of a service on an image, all of them well.
type (
	everybody struct{}
	willing   struct{}
	anything  struct{}
	nowhere   struct{}

	// post keeps what was mailed last to each login.
	post struct {
		mu      sync.Mutex
		letters map[string]reset.LetterKind
		came    chan struct{}
	}
)

func (everybody) Lookup(_ context.Context, login string) ([]reset.Account, error) {
	return []reset.Account{{ID: "of " + login, Login: login, Email: login + "@example.com"}}, nil
}

func (willing) Apply(context.Context, reset.Change) reset.Attempt {
	return reset.Attempt{Verdict: reset.Applied}
}

func (anything) Check(string, []string) []passwords.Reason { return nil }
func (anything) Rules() passwords.Rules                    { return passwords.Rules{} }

func (nowhere) Link(_, token string) string    { return "https://example.com/link/" + token }
func (nowhere) CancelLink(token string) string { return "https://example.com/cancel/" + token }
func (nowhere) AskLink() string                { return "https://example.com" }

func (p *post) Compose(l reset.Letter) (reset.Message, error) {
	return reset.Message{From: string(l.Kind), To: l.To.Login}, nil
}

func (p *post) Send(_ context.Context, m reset.Message) reset.Delivery {
	p.mu.Lock()
	p.letters[m.To] = reset.LetterKind(m.From)
	p.mu.Unlock()
	select {
	case p.came <- struct{}{}:
	default:
	}
	return reset.Delivery{Status: reset.Sent}
}

func (p *post) letter(login string) reset.LetterKind {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.letters[login]
}
