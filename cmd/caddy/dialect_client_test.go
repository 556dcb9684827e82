package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sdks returns the folder that testdata/clients/package.json is installed in.
func sdks(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("VENDOR_SDKS")
	if dir == "" {
		lacks(t, "the vendors' clients are missing: cp cmd/caddy/testdata/clients/package*.json DIR && "+
			"npm ci --prefix DIR --ignore-scripts, and set VENDOR_SDKS to DIR")
	}
	return dir
}

// An outcome is what a client made of an answer.
type outcome struct {
	Value  any
	Error  string // the class of an exception, or the name that it carries
	Number int
	Status int
	Body   any
}

// Payabli's own package, as it is.
func TestPayabliClient(t *testing.T) {
	t.Parallel()
	dir, node := sdks(t), need(t, "node", "nodejs")
	w := newWorld(t)
	w.employ(people(2), nil)
	w.speak("\t\tdialect payabli {\n\t\t\trequest_token {env.PAYABLI_TOKEN}\n\t\t}\n")
	w.start()
	door := w.turnstile()
	reset := func(token string, request ...string) outcome {
		return w.runs(node, "payabli.js", append([]string{dir, door.url + "/api", token}, request...)...)
	}
	success := outcome{Value: map[string]any{"isSuccess": true, "responseText": "Success"}}
	const start = "POST /api/User/authreset"

	for _, tt := range []struct {
		name, token, request string
		lost                 int // answers that never reach the client
		want                 outcome
		sent                 int
	}{
		{"an account", payabliToken, `{"email":"person-0@example.com","entry":"acme","entryType":2}`, 0, success, 1},
		{"no account", payabliToken, `{"email":"nobody-0@example.com","entry":"acme","entryType":2}`, 0, success, 1},
		{"answers that are lost", payabliToken, `{"email":"person-1@example.com"}`, 2, success, 3},
		{
			"wrong token", "wrong", `{"email":"person-0@example.com"}`, 0,
			outcome{Error: "UnauthorizedError", Status: 401, Body: map[string]any{"isSuccess": false, "responseText": "Unauthorized"}},
			1,
		},
		{"no address", payabliToken, "", 0, outcome{Error: "BadRequestError", Status: 400, Body: map[string]any{
			"isSuccess": false, "responseCode": 3003.0, "responseText": "Invalid parameter value in request",
			"responseData": map[string]any{"explanation": "email is missing or not a valid email address"},
		}}, 1},
		{"type of entry", payabliToken, `{"email":"person-0@example.com","entry":"acme","entryType":1}`, 0, outcome{Error: "BadRequestError", Status: 400, Body: map[string]any{
			"isSuccess": false, "responseCode": 3003.0, "responseText": "Invalid parameter value in request",
		}}, 1},
	} {
		before := door.count(start)
		door.lose(tt.lost)
		var request []string
		if tt.request != "" {
			request = []string{tt.request}
		}
		if diff := cmp.Diff(tt.want, reset(tt.token, request...)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
		if n := door.count(start) - before; n != tt.sent {
			t.Errorf("%s: the client asked %d times, not %d", tt.name, n, tt.sent)
		}
	}
	w.mail("person-0@example.com", 1)
	w.dealtWith(5)
	for _, to := range []string{"person-0@example.com", "person-1@example.com"} {
		if n := w.received(to); n != 1 {
			t.Errorf("%d mails to %s", n, to)
		}
	}

	w.losesStore()
	before := door.count(start)
	want := outcome{Error: "ServiceUnavailableError", Status: 503, Body: map[string]any{"isSuccess": false, "responseText": "Database connection error"}}
	if diff := cmp.Diff(want, reset(payabliToken, `{"email":"person-0@example.com"}`)); diff != "" {
		t.Errorf("no store: (-want +got)\n%s", diff)
	}
	if n := door.count(start) - before; n > 3 {
		t.Errorf("no store: the client asked %d times", n)
	}
}

// Buddy's own package, as it is.
func TestBuddyClient(t *testing.T) {
	t.Parallel()
	dir, node := sdks(t), need(t, "node", "nodejs")
	w := newWorld(t)
	w.employ(people(1), nil)
	w.speak(`
		dialect buddy {
			app_id ` + buddyApp + `
			app_key {env.BUDDY_KEY}
			caller_text
		}
	`)
	w.start()
	door := w.turnstile()
	does := func(key, method string, parameters map[string]string) outcome {
		b, err := json.Marshal(parameters)
		if err != nil {
			t.Fatal(err)
		}
		return w.runs(node, "buddy.js", dir, door.url, buddyApp, key, method, string(b))
	}
	done := outcome{Value: map[string]any{"status": 200.0, "success": true, "result": true}}
	refused := func(name string, number int, message string) outcome {
		return outcome{Error: name, Number: number, Status: 400, Body: map[string]any{
			"status": 400.0, "success": false, "error": name, "errorNumber": float64(number), "message": message,
		}}
	}
	expect := func(what string, want, got outcome) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", what, diff)
		}
	}
	text := map[string]string{"userName": known, "subject": "Reset Your Password", "body": "Use this code: @ResetCode"}
	expect("start", done, does(buddyKey, "post", text))
	text["userName"] = unknown
	expect("start for nobody", done, does(buddyKey, "put", text))
	code := buddyCode(t, w.mail(known+"@example.com", 1))
	const invalid = "The reset code is invalid or has expired."
	finish := map[string]string{"userName": known, "resetCode": wrongCode(code), "newPassword": newPassword}
	expect("wrong code", refused("ParameterIncorrectFormat", 515, invalid), does(buddyKey, "patch", finish))
	finish["resetCode"] = code
	expect("finish", done, does(buddyKey, "patch", finish))
	expect("finish again", refused("ParameterIncorrectFormat", 515, invalid), does(buddyKey, "patch", finish))
	if n := w.changes("2000"); n != 1 || !w.lets(known, newPassword) {
		t.Errorf("the app was told %d times", n)
	}
	// A device token that had no time to live would be asked for before each.
	if n := door.count("POST /devices"); n != 1 {
		t.Errorf("the client registered its device %d times", n)
	}
}

// runs starts a script of testdata/clients and returns what it prints.
func (w *world) runs(node, script string, args ...string) outcome {
	w.t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "clients", script))
	if err != nil {
		w.t.Fatal(err)
	}
	c := exec.CommandContext(w.t.Context(), node, append([]string{path}, args...)...)
	c.Dir = filepath.Join(w.Home, "client")
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir}
	var complaints strings.Builder
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", script, err, &complaints)
	}
	var o outcome
	if err := json.Unmarshal(out, &o); err != nil {
		w.t.Fatalf("%s prints %q", script, out)
	}
	return o
}

// losesStore takes the store away from under the program and waits until it is
// missed.
func (w *world) losesStore() {
	w.t.Helper()
	store := filepath.Join(w.Home, storeDir, "reset.db")
	if err := os.Rename(store, store+".away"); err != nil {
		w.t.Fatal(err)
	}
	visitor := 10000
	w.until("the store is missed", func() bool {
		visitor++
		return w.do("POST", "/password-reset", "login=somebody", from(visitor)...).Status == http.StatusServiceUnavailable
	})
}

// A turnstile is a way into the site that counts requests, and may lose the
// answers to some.
type turnstile struct {
	url string

	mu     sync.Mutex
	counts map[string]int // by method and path
	losing int
}

func (w *world) turnstile() *turnstile {
	w.t.Helper()
	site, err := url.Parse(w.Site)
	if err != nil {
		w.t.Fatal(err)
	}
	d := &turnstile{counts: make(map[string]int)}
	proxy := httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(site) },
		ModifyResponse: func(r *http.Response) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.counts[r.Request.Method+" "+r.Request.URL.Path]++
			if d.losing > 0 {
				d.losing--
				return errors.New("answer lost")
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.Header().Set("Retry-After", strconv.Itoa(1))
			w.WriteHeader(http.StatusServiceUnavailable)
		},
	}
	server := httptest.NewServer(&proxy)
	w.t.Cleanup(server.Close)
	d.url = strings.TrimSuffix(server.URL, "/")
	return d
}

func (d *turnstile) lose(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.losing = n
}

func (d *turnstile) count(request string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[request]
}
