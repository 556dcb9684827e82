package dialect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

const (
	payabliPath    = "/api/User/authreset"
	payabliSuccess = `{"isSuccess":true,"responseText":"Success"}`
	payabliBody    = `{"email":"cesare@example.com","entry":"acme","entryType":2}`
	payabliNoEmail = `{"isSuccess":false,"responseCode":3003,"responseText":"Invalid parameter value in request","responseData":{"explanation":"email is missing or not a valid email address"}}`
	payabliBad     = `{"isSuccess":false,"responseCode":3003,"responseText":"Invalid parameter value in request"}`
)

// payabliHeader is that of the vendor's own example.
var payabliHeader = []string{"requestToken: test-token", "Content-Type: application/json"}

// payabliAnswer is an answer as the vendor's clients take it.
func payabliAnswer(status int, body string) expected {
	return expected{status, map[string]string{
		"Content-Type": "application/json", "Access-Control-Allow-Origin": "", "Retry-After": "", "WWW-Authenticate": "",
	}, body}
}

// payabliError is the answer to what went wrong, without a code.
func payabliError(status int, text string) expected {
	return payabliAnswer(status, fmt.Sprintf(`{"isSuccess":false,"responseText":"%s"}`, text))
}

// speakPayabli serves the dialect with what set makes of its defaults.
func speakPayabli(t testing.TB, set func(*dialect.Payabli)) *world {
	t.Helper()
	d := dialect.New("payabli").(*dialect.Payabli)
	if set != nil {
		set(d)
	}
	return newWorld(t, map[string]web.Dialect{"payabli": d})
}

func TestPayabliContract(t *testing.T) {
	values := map[string]string{"empty object": payabliNoEmail} // the case leaves responseData open
	replaySeed(t, "payabli", values, func(t *testing.T, c seedCase) *world {
		w := speakPayabli(t, func(d *dialect.Payabli) {
			if c.Note == "list of tokens set" {
				d.RequestTokens = []string{"test-token"}
			}
		})
		if c.Name == "own failure" {
			w.errs = map[string]error{"Request": reset.ErrUnavailable}
		}
		return w
	})
}

// The answers in these files are those of a stub: what a client made of them
// says what it stands, not what the original sends.
func TestPayabliCaptures(t *testing.T) {
	for _, file := range []string{"payabli-sdk-node.json", "payabli-sdk-go.json"} {
		for _, c := range captures(t, file) {
			t.Run(file+" "+c.Case, func(t *testing.T) {
				w := speakPayabli(t, func(d *dialect.Payabli) { d.RequestTokens = []string{"test-token"} })
				compare(t, w.replay(c), payabliAnswer(200, payabliSuccess))
				want := []reset.Request{{Login: "cesare@example.com", ClientIP: ipOf(clientIP), Trusted: true, Dialect: "payabli"}}
				if diff := cmp.Diff(want, w.requests, cmp.Comparer(sameIP)); diff != "" {
					t.Errorf("requests (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What the documented samples put on the wire, and what is known of how
// clients depart from them.
func TestPayabliSamples(t *testing.T) {
	const media = "Content-Type: application/json"
	for _, tt := range []struct {
		name   string
		header []string
		body   string
		want   expected
	}{
		{"cURL", []string{"requestToken: <requestToken>", media, "User-Agent: curl/8.5.0", "Accept: */*"}, `{}`, payabliAnswer(400, payabliNoEmail)},
		{"Python", []string{"requestToken: <requestToken>", media, "User-Agent: python-requests/2.34.2"}, `{}`, payabliAnswer(400, payabliNoEmail)},
		{"PHP", []string{"requestToken: ", media}, `{}`, payabliAnswer(400, payabliNoEmail)},
		{"Ruby", []string{"requestToken: ", media}, `{}`, payabliAnswer(400, payabliNoEmail)},
		{"Swift", []string{"requestToken: <requestToken>", media}, `[]`, payabliAnswer(400, payabliBad)},
		{"Java", []string{"requestToken: <requestToken>", "Content-Type: application/json; charset=utf-8"}, `{}`, payabliAnswer(400, payabliNoEmail)},
		{"C#", []string{"requestToken: <requestToken>", media}, "{}\n", payabliAnswer(400, payabliNoEmail)},
		{"the example filled in", payabliHeader, payabliBody, payabliAnswer(200, payabliSuccess)},
		{"Go spelling", []string{"Requesttoken: test-token", media}, payabliBody, payabliAnswer(200, payabliSuccess)},
		{"Bearer", []string{"Authorization: Bearer test-token", media}, payabliBody, payabliAnswer(200, payabliSuccess)},
		{"empty token", []string{"requestToken:", media}, payabliBody, payabliAnswer(200, payabliSuccess)},
		{"no token", []string{media}, payabliBody, payabliAnswer(200, payabliSuccess)},
		{"no Content-Type", nil, payabliBody, payabliAnswer(200, payabliSuccess)},
		{"charset", []string{"Content-Type: application/json;charset=UTF-8"}, payabliBody, payabliAnswer(200, payabliSuccess)},
		{"curl -d without a type", []string{"Content-Type: application/x-www-form-urlencoded"}, payabliBody, payabliAnswer(200, payabliSuccess)},
		{"spaces", []string{media}, "{\r\n\t\"entryType\" : 0 , \"email\" : \"cesare@example.com\"\r\n}\r\n", payabliAnswer(200, payabliSuccess)},
		{"escapes", []string{media}, `{"email":"c\u0065sare@example.com"}`, payabliAnswer(200, payabliSuccess)},
		{"a query", []string{media}, payabliBody, payabliAnswer(200, payabliSuccess)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakPayabli(t, nil)
			target := payabliPath
			if tt.name == "a query" {
				target += "?email=other@example.com&entryType=7"
			}
			compare(t, w.do("POST", target, tt.header, tt.body), tt.want)
			var want []reset.Request
			if tt.want.status == 200 {
				want = []reset.Request{{Login: "cesare@example.com", Dialect: "payabli", ClientIP: ipOf(clientIP)}}
			}
			if diff := cmp.Diff(want, w.requests, cmp.Comparer(sameIP)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPayabliBodies(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"type 0", `{"email":"cesare@example.com","entry":"acme","entryType":0}`, payabliSuccess},
		{"type 2", `{"email":"cesare@example.com","entry":"acme","entryType":2}`, payabliSuccess},
		{"type alone", `{"email":"cesare@example.com","entryType":2}`, payabliSuccess},
		{"nulls", `{"email":"cesare@example.com","entry":null,"entryType":null}`, payabliSuccess},
		{"unknown keys", `{"email":"cesare@example.com","username":"ghost","x":{"email":"ghost@example.com"},"y":[[]]}`, payabliSuccess},
		{"address in Unicode", `{"email":"jörg@bücher.example"}`, payabliSuccess},

		{"entry alone", `{"email":"cesare@example.com","entry":"acme"}`, payabliBad},
		{"entry with no type", `{"email":"cesare@example.com","entry":"acme","entryType":null}`, payabliBad},
		{"empty entry alone", `{"email":"cesare@example.com","entry":""}`, payabliBad},
		{"entry a number", `{"email":"cesare@example.com","entry":1,"entryType":2}`, payabliBad},
		{"entry a list", `{"email":"cesare@example.com","entry":["acme"],"entryType":2}`, payabliBad},
		{"type 1", `{"email":"cesare@example.com","entry":"acme","entryType":1}`, payabliBad},
		{"type in text", `{"email":"cesare@example.com","entry":"acme","entryType":"2"}`, payabliBad},
		{"type with a fraction", `{"email":"cesare@example.com","entry":"acme","entryType":2.0}`, payabliBad},
		{"type with an exponent", `{"email":"cesare@example.com","entry":"acme","entryType":2e0}`, payabliBad},
		{"type below zero", `{"email":"cesare@example.com","entry":"acme","entryType":-0}`, payabliBad},
		{"type above all bounds", `{"email":"cesare@example.com","entry":"acme","entryType":18446744073709551618}`, payabliBad},
		{"type true", `{"email":"cesare@example.com","entryType":true}`, payabliBad},
		{"type alone, wrong", `{"email":"cesare@example.com","entryType":1}`, payabliBad},

		{"no body", ``, payabliBad},
		{"empty list", `[]`, payabliBad},
		{"list", `[{"email":"cesare@example.com"}]`, payabliBad},
		{"text", `"cesare@example.com"`, payabliBad},
		{"null", `null`, payabliBad},
		{"cut off", `{"email":"cesare@example.com"`, payabliBad},
		{"form", `email=cesare%40example.com&entry=acme&entryType=2`, payabliBad},
		{"more behind it", `{"email":"cesare@example.com"}{}`, payabliBad},

		{"empty object", `{}`, payabliNoEmail},
		{"no email", `{"entry":"acme","entryType":2}`, payabliNoEmail},
		{"email null", `{"email":null}`, payabliNoEmail},
		{"email empty", `{"email":""}`, payabliNoEmail},
		{"email a number", `{"email":7}`, payabliNoEmail},
		{"email a list", `{"email":["cesare@example.com"]}`, payabliNoEmail},
		{"email an object", `{"email":{"$ne":null}}`, payabliNoEmail},
		{"email in other case", `{"Email":"cesare@example.com"}`, payabliNoEmail},
		{"a user name", `{"email":"cesare"}`, payabliNoEmail},
		{"a display name", `{"email":"Cesare <cesare@example.com>"}`, payabliNoEmail},
		{"two addresses", `{"email":"cesare@example.com,ghost@example.com"}`, payabliNoEmail},
		{"a header", `{"email":"cesare@example.com\r\nBcc: ghost@example.com"}`, payabliNoEmail},
		{"as long as mail allows", `{"email":"cesare@` + strings.Repeat("a.", 120) + `example"}`, payabliSuccess},
		{"too long for mail", `{"email":"cesare@` + strings.Repeat("a.", 121) + `example"}`, payabliNoEmail},
		{"too long for the vendor", `{"email":"` + strings.Repeat("a", 321) + `@example.com"}`, payabliNoEmail},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakPayabli(t, nil)
			status, calls := 400, []string(nil)
			if tt.want == payabliSuccess {
				status, calls = 200, []string{"Request"}
			}
			compare(t, w.do("POST", payabliPath, payabliHeader, tt.body), payabliAnswer(status, tt.want))
			if !slices.Equal(w.asked(), calls) {
				t.Errorf("the domain was asked %q", w.asked())
			}
		})
	}
}

func TestPayabliTokens(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		ok     bool
	}{
		{"right", []string{"requestToken: first-token"}, true},
		{"second of the list", []string{"requestToken: second-token"}, true},
		{"Go spelling", []string{"Requesttoken: first-token"}, true},
		{"Bearer", []string{"Authorization: Bearer second-token"}, true},
		{"bearer in lower case", []string{"authorization: bearer first-token"}, true},
		{"Bearer beside an empty one", []string{"requestToken: ", "Authorization: Bearer first-token"}, true},
		{"wrong", []string{"requestToken: third-token"}, false},
		{"other case", []string{"requestToken: FIRST-TOKEN"}, false},
		{"part of it", []string{"requestToken: first-toke"}, false},
		{"both", []string{"requestToken: first-token,second-token"}, false},
		{"empty", []string{"requestToken: "}, false},
		{"missing", nil, false},
		{"wrong Bearer", []string{"Authorization: Bearer third-token"}, false},
		{"empty Bearer", []string{"Authorization: Bearer "}, false},
		{"Bearer without a scheme", []string{"Authorization: first-token"}, false},
		{"another scheme", []string{"Authorization: Basic first-token"}, false},
		{"scheme in requestToken", []string{"requestToken: Bearer first-token"}, false},
		{"in a cookie", []string{"Cookie: requestToken=first-token"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakPayabli(t, func(d *dialect.Payabli) { d.RequestTokens = []string{"first-token", "second-token"} })
			want := payabliError(401, "Unauthorized")
			if tt.ok {
				want = payabliAnswer(200, payabliSuccess)
			}
			known := w.do("POST", payabliPath, tt.header, payabliBody)
			compare(t, known, want)
			same(t, known, w.do("POST", payabliPath, tt.header, `{"email":"ghost@example.com"}`))
			if tt.ok != (len(w.requests) == 2) {
				t.Fatalf("requests %v", w.requests)
			}
			if tt.ok && !w.requests[0].Trusted {
				t.Error("the app's own server shares a limit with everybody behind it")
			}
			// A body is not judged for who may not send it.
			bad := w.do("POST", payabliPath, tt.header, `{}`)
			if !tt.ok {
				same(t, known, bad)
			}
		})
	}
}

func TestPayabliCheck(t *testing.T) {
	refused(t, "payabli", "request_token", `[""]`)
	refused(t, "payabli", "request_token", `["Bearer `+hush+`"]`)
}

// Whatever stands in the way of a mail is no business of the client's, and 429
// would only make it ask again.
func TestPayabliSameAnswer(t *testing.T) {
	w := speakPayabli(t, nil)
	w.findings = map[string]reset.Finding{"noemail@example.com": reset.NoAddress, "relay@example.com": reset.MailDown}
	known := w.do("POST", payabliPath, payabliHeader, payabliBody)
	compare(t, known, payabliAnswer(200, payabliSuccess))
	for _, user := range []string{"ghost", "noemail", "relay", "cesare", "cesare"} {
		same(t, known, w.do("POST", payabliPath, payabliHeader, `{"email":"`+user+`@example.com"}`))
	}
	if w.finds != nil {
		t.Errorf("looked up before the answer: %q", w.finds)
	}
	w.errs = map[string]error{"Request": &reset.LimitError{RetryAfter: 60e9}}
	same(t, known, w.do("POST", payabliPath, payabliHeader, payabliBody))
}

func TestPayabliFailures(t *testing.T) {
	down := payabliError(503, "Database connection error")
	down.header["Retry-After"] = "1"
	for _, tt := range []struct {
		name string
		set  func(*world)
		want expected
	}{
		{"store down", func(w *world) { w.errs = map[string]error{"Request": reset.ErrUnavailable} }, down},
		{"unknown fault", func(w *world) { w.errs = map[string]error{"Request": errDisk} }, down},
		{"site does not open", func(w *world) { w.openErr = errDisk }, down},
		{"not a login", func(w *world) { w.errs = map[string]error{"Request": reset.ErrLogin} }, payabliAnswer(400, payabliNoEmail)},
		{"panic", func(w *world) { w.panics = true }, payabliError(500, "Internal API Error")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakPayabli(t, nil)
			tt.set(w)
			known := w.do("POST", payabliPath, payabliHeader, payabliBody)
			compare(t, known, tt.want)
			same(t, known, w.do("POST", payabliPath, payabliHeader, `{"email":"ghost@example.com"}`))
		})
	}
}
