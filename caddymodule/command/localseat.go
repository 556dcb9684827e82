package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
)

// localSeat works on the store of a configuration that no Caddy runs.
func localSeat(v venue) (*seat, error) {
	alone, err := caddymodule.LoadAlone(v.config)
	if err != nil && v.address != "" {
		return nil, fmt.Errorf("no Caddy answers at %s, and %w", v.address, err)
	}
	if err != nil {
		return nil, err
	}
	return aloneSeat(alone, v), alone.MayUseStore()
}

// aloneSeat is one at a configuration of this process.
func aloneSeat(alone *caddymodule.Alone, v venue) *seat {
	return &seat{client: &http.Client{Transport: inProcess{alone, v}}}
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

// inProcess answers requests of a command within its process.
type inProcess struct {
	alone *caddymodule.Alone
	venue venue
}

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	body, out := io.Pipe()
	w := &pipedResponse{header: make(http.Header), out: out, begun: make(chan int, 1)}
	go func() {
		if r.Body != nil {
			defer r.Body.Close()
		}
		err := p.alone.Serve(w, r)
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
