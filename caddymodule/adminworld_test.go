package caddymodule_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// An adminWorld is a world whose Caddy has an admin endpoint.
type adminWorld struct {
	*world
	address string // as in a Caddyfile
	said    strings.Builder
}

// newAdminWorld returns one with the endpoint at an address, by default a socket.
func newAdminWorld(t *testing.T, address string) *adminWorld {
	t.Helper()
	w := &adminWorld{world: newWorld(t)}
	w.address = cmp.Or(address, "unix/"+w.path("a.sock"))
	t.Cleanup(func() {
		if err := load("{\n\tadmin off\n\tpersist_config off\n}\n"); err != nil { // caddy.Stop leaves the endpoint
			t.Error(err)
		}
	})
	return w
}

// loadAdmin loads a configuration with the endpoint.
func (w *adminWorld) loadAdmin(c config) {
	w.t.Helper()
	if err := load(strings.Replace(w.caddyfile(c), "admin off", "admin "+w.address, 1)); err != nil {
		w.t.Fatal(err)
	}
}

// tryAdmin makes one request of the endpoint.
func (w *adminWorld) tryAdmin(method, path, body string, header ...string) (*http.Response, string, error) {
	address, err := caddy.ParseNetworkAddress(w.address)
	if err != nil {
		return nil, "", err
	}
	target := address.Host
	if !address.IsUnixNetwork() {
		target = address.JoinHostPort(0)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, address.Network, target)
		},
	}}
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if !address.IsUnixNetwork() {
		r.Host = target
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp, string(answer), err
}

// admin makes one request, wants a status and returns the answer.
func (w *adminWorld) admin(status int, method, path, body string) string {
	w.t.Helper()
	resp, answer, err := w.tryAdmin(method, "/password_reset/"+path, body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode != status {
		w.t.Errorf("%s %s %.80s: got %d, want %d: %s", method, path, body, resp.StatusCode, status, answer)
	}
	w.said.WriteString(answer)
	return answer
}

// firstJob waits for a job that was tried, and returns its id.
func (w *adminWorld) firstJob(cause string) (id string) {
	w.t.Helper()
	until(w.t, "a job waits: "+cause, func() bool {
		var all struct {
			Jobs []struct{ ID, Cause string }
		}
		if err := json.Unmarshal([]byte(w.admin(http.StatusOK, "GET", "jobs", "")), &all); err != nil {
			w.t.Fatal(err)
		}
		for _, j := range all.Jobs {
			if strings.Contains(j.Cause, cause) {
				id = j.ID
			}
		}
		return id != ""
	})
	return id
}

// steer does something to a job, when it is not just being tried.
func (w *adminWorld) steer(method, path string) {
	w.t.Helper()
	until(w.t, method+" "+path, func() bool {
		resp, answer, err := w.tryAdmin(method, "/password_reset/"+path, "")
		if err != nil || resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusConflict {
			w.t.Fatalf("%s %s: %v, %s", method, path, err, answer)
		}
		w.said.WriteString(answer)
		return resp.StatusCode == http.StatusNoContent
	})
}
