package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// What real clients have sent, header by header in their order and spelling,
// is answered as they need it: whole answers are compared.
func TestDialectCaptures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.employ([]demo.Account{
		{ID: "1", Login: "cesare", Email: "cesare@example.com"},
		{ID: "2", Login: "SuperBuddy", Email: "superbuddy@example.com"},
	}, nil)
	w.speak(openDialects)
	w.start()

	const (
		catalyze = "200\nAccess-Control-Allow-Origin: *\nContent-Type: application/json\n\n{}"
		baasbox  = "200\nAccess-Control-Allow-Headers: X-Requested-With\nAccess-Control-Allow-Origin: *\nContent-Type: application/json; charset=utf-8\n\n" +
			`{"result":"ok","data":"","http_code":200}`
		device = "201\nAccess-Control-Allow-Origin: *\nContent-Type: application/json\n\n" +
			`{"status":201,"result":{"accessToken":"TOKEN","accessTokenExpires":"/Date(MILLISECONDS)/"},"request_id":"REQUEST-ID"}`
		buddy = "200\nAccess-Control-Allow-Origin: *\nContent-Type: application/json\n\n" +
			`{"status":200,"request_id":"REQUEST-ID","success":true,"result":true}`
		refused = "400\nAccess-Control-Allow-Origin: *\nContent-Type: application/json\n\n" +
			`{"status":400,"error":"ParameterIncorrectFormat","errorNumber":515,"message":"The reset code is invalid or has expired.","request_id":"REQUEST-ID"}`
		payabli = "200\nContent-Type: application/json\n\n" + `{"isSuccess":true,"responseText":"Success"}`
	)
	for file, wants := range map[string][]string{
		"catalyze-seed-xhr.json": {
			catalyze, "204\nAccess-Control-Allow-Headers: x-api-key, authorization, accept\nAccess-Control-Allow-Methods: GET\nAccess-Control-Allow-Origin: *\n\n", catalyze,
		},
		"baasbox-js-sdk.json": {baasbox, baasbox},
		"baasbox-js-sdk-cors.json": {
			"200\nAccess-Control-Allow-Headers: X-BB-SESSION, X-BAASBOX-APPCODE\nAccess-Control-Allow-Methods: OPTIONS, GET, POST, PUT, DELETE\n" +
				"Access-Control-Allow-Origin: *\nAllow: OPTIONS, GET, POST, PUT, DELETE\n\n", baasbox,
		},
		"buddy-python-sdk.json":   {device, buddy, refused, buddy},
		"buddy-ruby-gem.json":     {device, buddy, refused, buddy},
		"buddy-ruby-gem-429.json": {device, buddy, refused, buddy},
		"payabli-sdk-node.json":   {payabli, payabli, payabli, payabli, payabli, payabli, payabli},
		"payabli-sdk-go.json":     {payabli, payabli, payabli, payabli, payabli, payabli, payabli},
	} {
		for i, c := range captured(t, file) {
			if i >= len(wants) {
				t.Fatalf("%s holds more than %d calls", file, len(wants))
			}
			r := w.say(c)
			safe(t, file, r)
			if diff := cmp.Diff(wants[i], whole(r)); diff != "" {
				t.Errorf("%s, call %d, %s %s: (-want +got)\n%s", file, i, c.method, c.target, diff)
			}
		}
	}

	// The calls that finish had a code of the recorder's. With the one in the
	// mail they do what they are for.
	code, err := w.mail("superbuddy@example.com", 1).Code()
	if err != nil {
		t.Fatal(err)
	}
	for n, file := range []string{"buddy-python-sdk.json", "buddy-ruby-gem.json"} {
		for _, c := range captured(t, file) {
			if c.method != http.MethodPatch {
				continue
			}
			c.body = strings.NewReplacer("ABC123", code, "newpass123", strings.ReplaceAll(newPassword, " ", "_")).Replace(c.body)
			want := buddy
			if n > 0 {
				want = refused // it has been used
			}
			if diff := cmp.Diff(want, whole(w.say(c))); diff != "" {
				t.Errorf("%s, the call that finishes: (-want +got)\n%s", file, diff)
			}
		}
	}
	if n := w.changes("2"); n != 1 {
		t.Errorf("the app was told %d times", n)
	}
}

// common are the headers of every answer.
var common = []string{
	"Cache-Control", "Connection", "Content-Length", "Content-Security-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Date",
	"Referrer-Policy", "Server", "X-Content-Type-Options", "X-Frame-Options", "X-Robots-Tag",
}

// whole returns an answer without the headers that every answer has.
func whole(r reply) string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Status)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if !slices.Contains(common, name) {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(r.Header[name], " | "))
		}
	}
	return b.String() + "\n" + masks(r.Body)
}

// captured returns the requests in a file of captures, in their order.
func captured(t *testing.T, file string) []phrase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "web", "dialect", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct{ Cases ordered }
	decode(t, data, &recorded)
	var calls []phrase
	for _, c := range recorded.Cases {
		var session struct {
			Calls []struct {
				Method, Path string
				Headers      ordered
				Body         json.RawMessage
			}
		}
		decode(t, c.value, &session)
		for _, sent := range session.Calls {
			p := phrase{method: sent.Method, target: sent.Path}
			for _, h := range sent.Headers {
				var value string
				decode(t, h.value, &value)
				p.header = append(p.header, h.name, value)
			}
			if json.Unmarshal(sent.Body, &p.body) != nil { // text, or null
				var b bytes.Buffer
				if err := json.Compact(&b, sent.Body); err != nil {
					t.Fatal(err)
				}
				p.body = b.String()
			}
			calls = append(calls, p)
		}
	}
	if len(calls) == 0 {
		t.Fatalf("%s holds no calls", file)
	}
	return calls
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

// ordered is a JSON object with its members in their order.
type ordered []struct {
	name  string
	value json.RawMessage
}

func (o *ordered) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		*o = append(*o, struct {
			name  string
			value json.RawMessage
		}{fmt.Sprint(name), value})
	}
	return nil
}
