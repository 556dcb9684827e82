package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// An Alone answers as the admin API does, for a configuration that no Caddy runs.
type Alone struct{ about seated }

// LoadAlone reads a configuration as `caddy validate` does. It returns
// [ErrNoReset], or what is wrong with it.
func LoadAlone(config []byte) (*Alone, error) {
	about, err := provision(config)
	if err != nil {
		return nil, err
	}
	return &Alone{about}, nil
}

// InUse says that another Caddy has the store of that key open.
func (a *Alone) InUse(key string) { a.about.inUse = key }

// MayUseStore refuses what would leave files behind that Caddy cannot use. The error
// wraps [ErrNoStoreYet] if there is no store and one may be made.
func (a *Alone) MayUseStore() error { return a.about.app.mayUseStore() }

// Serve answers a request below [adminapi.Path].
func (a *Alone) Serve(w http.ResponseWriter, r *http.Request) error {
	api := AdminAPI{find: func() (seated, error) { return a.about, nil }}
	return api.serve(w, r)
}

// quiet is how Caddy logs while a command runs: what is wrong, and nothing else.
func quiet() *caddy.Logging {
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "ERROR"}},
	}}
}

// Quieten keeps Caddy from logging that it reads a configuration, for a command that
// is about to.
func Quieten() error {
	_, err := caddy.ProvisionContext(&caddy.Config{Logging: quiet()})
	return err
}

// provision makes the app of a configuration, as `caddy validate` does: nothing is
// opened, dialled or started. Its logs stay untouched, which may belong to
// somebody else.
func provision(config []byte) (seated, error) {
	var c caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &c); err != nil {
		return seated{}, fmt.Errorf("reading configuration: %w", err)
	}
	c.Logging = quiet()
	ctx, err := caddy.ProvisionContext(&c)
	if err != nil {
		return seated{}, fmt.Errorf("the configuration does not load here: %s", withoutWay(err))
	}
	app, err := ctx.AppIfConfigured("password_reset")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return seated{}, ErrNoReset
	}
	if err != nil {
		return seated{}, err
	}
	return seated{app: app.(*App), config: ctx}, nil
}

// withoutWay leaves out how Caddy came to a module of ours that it could not load:
// a line of names that are no operator's.
func withoutWay(err error) string {
	text := err.Error()
	for _, module := range []string{"http.handlers.password_reset", "password_reset"} {
		if _, cause, ok := strings.Cut(text, "provision "+module+": "); ok {
			return cause
		}
	}
	return text
}

// ErrNoReset is the error for a configuration without us.
var ErrNoReset = errors.New("the configuration has no `password_reset`")

// ErrNoStoreYet is wrapped by that for a store that Caddy has not made yet.
var ErrNoStoreYet = errors.New("there is no store yet")

// mayUseStore refuses what would leave files behind that Caddy cannot use: a new
// store, or one of its files written anew, belongs to whoever runs the command.
func (a *App) mayUseStore() error {
	b, ok := a.store.opener.(*BboltStore)
	if !ok {
		return nil
	}
	info, err := os.Stat(b.path)
	if isMissing(err) {
		return mayMakeStore(b.path)
	}
	if err != nil {
		return fmt.Errorf("looking at the store: %w; run this command as the user that Caddy runs as", err)
	}
	if owner, mine := ownedByMe(info); !mine {
		return fmt.Errorf("the store %s belongs to the user with id %d; run this command as that user, for example: sudo -u '#%[2]d' caddy password-reset …", b.path, owner)
	}
	return nil
}

// mayMakeStore says that there is no store, and whether one may be made: by a
// restore.
func mayMakeStore(path string) error {
	dir, info, err := nearestFolder(path)
	if err != nil {
		return fmt.Errorf("looking at the folder of the store: %w; run this command as the user that Caddy runs as", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a file, so there can be no store at %s; name a file in a folder: `store bbolt PATH` in the global block", dir, path)
	}
	if owner, mine := ownedByMe(info); !mine {
		return fmt.Errorf("there is no store at %s yet, and the folder %s belongs to the user with id %d; run this command as the user that Caddy runs as, for example: sudo -u '#%[3]d' caddy password-reset …", path, dir, owner)
	}
	return fmt.Errorf("%w at %s: Caddy makes it when it first runs", ErrNoStoreYet, path)
}
