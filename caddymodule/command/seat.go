package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-password-reset/caddy-password-reset/caddymodule"
	"github.com/caddy-password-reset/caddy-password-reset/caddymodule/adminapi"
)

// A seat is from where a command sees and steers: the admin endpoint of the Caddy
// that runs, or the store itself where none does. Both answer the same.
type seat struct {
	client  *http.Client
	running bool   // a Caddy answers, so what is queued goes on at once
	address string // where it answers; "": in this process
}

// seatFlags are the flags of all commands that need a seat.
type seatFlags struct {
	config, adapter, address string
}

func (f *seatFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration `file` (default: Caddyfile in this folder)")
	cmd.Flags().StringVarP(&f.adapter, "adapter", "a", "", "config adapter `name` (default: caddyfile)")
	cmd.Flags().StringVar(&f.address, "address", "", "`address` of the admin endpoint, if no configuration is named")
}

// A venue is what the flags of a command lead to.
type venue struct {
	config  []byte // nil: there is none
	address string // of the admin endpoint; "": it is off
	named   bool   // by a flag, without a configuration
}

// venue reads the configuration, if there is one.
func (f *seatFlags) venue() (venue, error) {
	if f.address != "" && f.config == "" {
		return venue{address: f.address, named: true}, nil
	}
	if err := caddymodule.Quieten(); err != nil {
		return venue{}, err
	}
	config, _, _, err := caddycmd.LoadConfig(f.config, f.adapter)
	if err != nil {
		return venue{}, err
	}
	var settings struct {
		Admin caddy.AdminConfig `json:"admin"`
	}
	if config != nil {
		if err := json.Unmarshal(config, &settings); err != nil {
			return venue{}, fmt.Errorf("reading configuration: %w", err)
		}
	}
	if f.address == "" && settings.Admin.Disabled {
		return venue{config: config}, nil
	}
	address, err := caddy.NewReplacer().ReplaceOrErr(cmp.Or(f.address, settings.Admin.Listen), true, true)
	if err != nil {
		return venue{}, fmt.Errorf("reading the address of the admin endpoint: %w", err)
	}
	return venue{config: config, address: cmp.Or(address, caddy.DefaultAdminListen)}, nil
}

// open takes a seat: at the Caddy that runs, or where none does at the store.
func (f *seatFlags) open(ctx context.Context) (*seat, error) {
	v, err := f.venue()
	if err != nil {
		return nil, err
	}
	s, err := v.running(ctx)
	if s != nil || err != nil {
		return s, err
	}
	return localSeat(v)
}

// openToRestore is open where there may be no store yet.
func (f *seatFlags) openToRestore(ctx context.Context) (*seat, error) {
	s, err := f.open(ctx)
	if errors.Is(err, caddymodule.ErrNoStoreYet) {
		err = nil
	}
	return s, err
}

// running takes a seat at the Caddy that runs; nil if none does and there is a
// configuration to go by.
func (v venue) running(ctx context.Context) (*seat, error) {
	if v.address != "" {
		s, err := remoteSeat(ctx, v.address)
		if err == nil || !isAway(err) {
			return s, err
		}
	}
	switch {
	case v.config != nil:
		return nil, nil
	case v.named:
		return nil, fmt.Errorf("no Caddy answers at %s; to work on the store itself, name the configuration with --config", v.address)
	default:
		return nil, fmt.Errorf("no Caddy answers at %s, and there is no Caddyfile in this folder; name one with --config", v.address)
	}
}

// remoteSeat finds out whether Caddy answers at an address.
func remoteSeat(ctx context.Context, address string) (*seat, error) {
	a, err := caddy.ParseNetworkAddress(address)
	if err != nil || a.PortRangeSize() > 1 {
		return nil, fmt.Errorf("%s is no address of an admin endpoint; write one like localhost:2019 or unix//run/caddy/admin.sock", address)
	}
	target := a.JoinHostPort(0)
	if a.IsUnixNetwork() {
		target, _, _ = strings.Cut(a.Host, "|") // its mode
	}
	s := &seat{running: true, address: address, client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, a.Network, target)
		},
	}}}
	if !a.IsUnixNetwork() {
		s.client.Transport = originTransport{s.client.Transport, target}
	}
	err = s.call(ctx, http.MethodGet, "status", nil, nil)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("asking Caddy at %s: permission denied; run this command as the user that Caddy runs as", address)
	case err != nil && !errors.As(err, new(*seatError)):
		return nil, fmt.Errorf("asking Caddy at %s: %w", address, err)
	case err != nil:
		return nil, err
	}
	return s, nil
}

// isAway reports whether nobody listens.
func isAway(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// originTransport asks as Caddy's own commands do: its admin endpoint checks host
// and origin.
type originTransport struct {
	http.RoundTripper
	host string
}

func (t originTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Host, r.Host = t.host, t.host
	r.Header.Set("Origin", "http://"+t.host)
	return t.RoundTripper.RoundTrip(r)
}

// A seatError is an answer that says why something was not done.
type seatError struct {
	status  int
	message string
}

func (e *seatError) Error() string { return e.message }

// do sends one request. The caller closes the body of its answer.
func (s *seat) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1"+adminapi.Path+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		if path != "export" {
			resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
		}
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, adminapi.MaxBody))
	if err != nil {
		return nil, err
	}
	var said struct {
		Error string `json:"error"`
	}
	if decodePlain(bytes.NewReader(text), &said) != nil || said.Error == "" {
		said.Error = fmt.Sprintf("the admin endpoint answers %d, and not as password_reset does: is the Caddy that runs there built with this module?", resp.StatusCode)
	}
	return nil, &seatError{status: resp.StatusCode, message: said.Error}
}

// call sends a request and reads the answer into result, if that is not nil.
func (s *seat) call(ctx context.Context, method, path string, v, result any) error {
	var body io.Reader
	if v != nil {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	return s.send(ctx, method, path, body, result)
}

// send is call with a body that is no JSON.
func (s *seat) send(ctx context.Context, method, path string, body io.Reader, result any) error {
	resp, err := s.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if result == nil {
		return nil
	}
	return s.about(decodePlain(resp.Body, result))
}

// about says whose answer could not be read.
func (s *seat) about(err error) error {
	if err == nil || s.address == "" {
		return err
	}
	return fmt.Errorf("the answer of %s: %w", s.address, err)
}
