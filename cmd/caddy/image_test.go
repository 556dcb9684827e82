package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv/sealed"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// An image is what a power cut left in the folder of the store, and what had
// been promised before.
type image struct {
	files    map[string][]byte
	site     string
	promises []promise
}

// holds returns nil if the store opens, is sound, and holds what was promised.
func (m *image) holds(t testing.TB) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if m.files["reset.db"] == nil || m.files["reset.key"] == nil {
		return fmt.Errorf("there is no store, only %v", slices.Sorted(maps.Keys(m.files)))
	}
	dir, err := os.MkdirTemp("", "reset-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for name, content := range m.files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
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

	post := &post{letters: make(map[letter]bool), came: make(chan struct{}, 1)}
	service, err := reset.New(reset.Config{
		Store: store, Indexer: store, Era: store.Era(), Exclusive: true,
		Sites: []reset.SiteConfig{{
			ID: m.site, Directory: everybody{}, Target: willing{}, Composer: post, Mailer: post, Passwords: anything{}, Links: nowhere{},
		}},
	})
	if err != nil {
		return err
	}
	site := service.Site(m.site)
	for _, p := range m.promises {
		if err := p.tokens(ctx, site); err != nil {
			return err
		}
	}
	if err := service.Start(ctx); err != nil {
		return err
	}
	defer service.Stop(ctx)
	for _, p := range m.promises {
		if p.owed == "" {
			continue
		}
		if err := p.mailed(ctx, site, post); err != nil {
			return err
		}
		service.Stop(ctx) // whatever had begun is done now
		if !post.sent(p.login, p.owed) {
			return fmt.Errorf("was owed %q and got nothing before somebody who came later", p.owed)
		}
	}
	return nil
}

// tokens holds what a promise says about tokens and codes.
func (p *promise) tokens(ctx context.Context, site *reset.Site) error {
	if p.dead != "" {
		if g, err := site.Look(ctx, p.dead, netip.Addr{}); err == nil && !g.Claimed {
			return errors.New("the link that was used works again")
		}
	}
	if p.live != "" {
		if g, err := site.Look(ctx, p.live, netip.Addr{}); err != nil || g.Claimed {
			return fmt.Errorf("the link does not work: %v, claimed: %v", err, g.Claimed)
		}
	}
	if p.wrong == 0 {
		return nil
	}
	// Those that were counted and these are five, after which no code works.
	for range 5 - p.wrong {
		if _, err := site.Code(ctx, reset.CodeEntry{Login: p.login, Code: wrongCode(p.code)}); !errors.Is(err, reset.ErrCode) {
			return fmt.Errorf("a wrong code: %v", err)
		}
	}
	if _, err := site.Code(ctx, reset.CodeEntry{Login: p.login, Code: p.code}); !errors.Is(err, reset.ErrCode) {
		return fmt.Errorf("%d wrong codes were answered and are not counted: %v", p.wrong, err)
	}
	return nil
}

// mailed waits until what is owed has come, or cannot come any more. Mails are
// taken in the order in which they come due, and all on the image are: once a
// later one is done, one that is not there will not come. A change that the
// app did not take is tried again some seconds after the answer.
func (p *promise) mailed(ctx context.Context, site *reset.Site, post *post) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if _, err := site.Request(ctx, reset.Request{Login: "later"}); err != nil {
		return err
	}
	for !post.sent(p.login, p.owed) && (p.owed != reset.LetterReset || !post.sent("later", p.owed)) {
		select {
		case <-post.came:
		case <-ctx.Done():
			return fmt.Errorf("was owed %q and got nothing", p.owed)
		}
	}
	return nil
}

// The peers of a service on an image, all of them well.
type (
	everybody struct{}
	willing   struct{}
	anything  struct{}
	nowhere   struct{}

	// post keeps what was mailed to each login. A mail whose end was not stored
	// comes once more, before what is owed or after it.
	post struct {
		mu      sync.Mutex
		letters map[letter]bool
		came    chan struct{}
	}
	letter struct {
		login string
		kind  reset.LetterKind
	}
)

func (everybody) Lookup(_ context.Context, login string) ([]reset.Account, error) {
	name, _, _ := strings.Cut(login, "@")
	account := reset.Account{ID: "of " + name, Login: login, Email: name + "@example.com"}
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "person-")); err == nil {
		account.ID = people(n + 1)[n].ID // a job may be pinned to the account already
	}
	return []reset.Account{account}, nil
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
	p.letters[letter{m.To, reset.LetterKind(m.From)}] = true
	p.mu.Unlock()
	select {
	case p.came <- struct{}{}:
	default:
	}
	return reset.Delivery{Status: reset.Sent}
}

func (p *post) sent(login string, kind reset.LetterKind) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.letters[letter{login, kind}]
}
