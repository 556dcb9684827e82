package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
)

// quiet is how Caddy logs while a command runs: what is wrong, and nothing else.
func quiet() *caddy.Logging {
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{Level: "ERROR"}},
	}}
}

// quieten keeps Caddy from logging that it reads a configuration.
func quieten() error {
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
		return seated{}, errNoReset
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

// localSeat works on the store of a configuration that no Caddy runs.
func localSeat(v venue) (*seat, error) {
	about, err := provision(v.config)
	if err != nil && v.address != "" {
		return nil, fmt.Errorf("no Caddy answers at %s, and %w", v.address, err)
	}
	if err != nil {
		return nil, err
	}
	return about.seat(v), about.app.mayUseStore()
}

// seat is one at a configuration of this process.
func (about seated) seat(v venue) *seat {
	api := &AdminAPI{find: func() (seated, error) { return about, nil }}
	return &seat{client: &http.Client{Transport: inProcess{api, v}}}
}

// explain says what to do where a Caddy that cannot be asked has the store open.
func (v venue) explain(err error) string {
	switch {
	case !errors.Is(err, embeddedstore.ErrInUse):
		return err.Error()
	case v.address == "":
		return "a Caddy runs that no command can ask, since it has `admin off`: write `admin unix//run/caddy/admin.sock` in its global options and restart it"
	default:
		return fmt.Sprintf("something else has the store open, and no Caddy answers at %s: name the admin endpoint of the Caddy that runs with --address, or wait for another command to end", v.address)
	}
}

var errNoReset = errors.New("the configuration has no `password_reset`")

var errNoStoreYet = errors.New("there is no store yet")

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
	return fmt.Errorf("%w at %s: Caddy makes it when it first runs", errNoStoreYet, path)
}

// inProcess answers requests of a command within its process.
type inProcess struct {
	api   *AdminAPI
	venue venue
}

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	body, out := io.Pipe()
	w := &pipedResponse{header: make(http.Header), out: out, begun: make(chan int, 1)}
	go func() {
		if r.Body != nil {
			defer r.Body.Close()
		}
		err := p.api.serve(w, r)
		if err != nil && !w.started {
			var e caddy.APIError
			if !errors.As(err, &e) {
				e = caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err}
			}
			w.WriteHeader(e.HTTPStatus)
			err = json.NewEncoder(w).Encode(map[string]string{"error": p.venue.explain(e.Err)})
		}
		w.WriteHeader(http.StatusOK)
		out.CloseWithError(err)
	}()
	return &http.Response{
		StatusCode: <-w.begun, Header: w.header, Body: body, Request: r, ContentLength: -1,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// A pipedResponse is a response whose body is read while it is written.
type pipedResponse struct {
	header  http.Header
	out     *io.PipeWriter
	begun   chan int
	once    sync.Once
	started bool
}

func (w *pipedResponse) Header() http.Header { return w.header }

func (w *pipedResponse) WriteHeader(status int) {
	w.once.Do(func() {
		w.started = true
		w.begun <- status
	})
}

func (w *pipedResponse) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.out.Write(b)
}
