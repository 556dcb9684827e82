package dialect_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

const (
	buddyPath = "/users/password"

	buddySuccess = `{"status":200,"request_id":"<24 hex>","success":true,"result":true}`
	buddyStart   = `{"userName":"cesare","subject":"Reset Your Password","body":"Use this code: @ResetCode"}`
	buddyFinish  = `{"userName":"cesare","resetCode":"12345678","newPassword":"newpass123"}`

	buddyDead     = "The reset code is invalid or has expired."
	buddyDown     = "The request could not be carried out. Try again later."
	buddyNoMail   = "The mail cannot be sent for now. Try again later."
	buddyPending  = "The new password was saved and will take effect shortly."
	buddyTwice    = "The request is malformed, or a key comes twice."
	buddyMedia    = "The body is neither JSON nor a form in UTF-8 or ISO 8859-1."
	buddyLarge    = "The body is larger than 64 KiB."
	buddyTooShort = "Too short: use at least 8 characters."
)

var (
	buddyJSON = []string{"Content-Type: application/json"}
	buddyForm = []string{"Content-Type: application/x-www-form-urlencoded"}
)

// speakBuddy serves the dialect with what set makes of its defaults.
func speakBuddy(t testing.TB, set func(*dialect.Buddy)) *world {
	t.Helper()
	d := dialect.New("buddy").(*dialect.Buddy)
	if set != nil {
		set(d)
	}
	return newWorld(t, map[string]web.Dialect{"buddy": d})
}

// withSecret configures what an operator would to let clients bring words.
func withSecret(d *dialect.Buddy) {
	d.AppID, d.SharedSecret, d.CallerText = "appid", "sharedsecret", true
}

// withKey does the same by the app's credentials.
func withKey(d *dialect.Buddy) {
	d.AppID, d.AppKey, d.CallerText = "appid", "appkey", true
}

// buddyAnswer is an answer as the vendor's clients take it.
func buddyAnswer(status int, body string) expected {
	return expected{status, map[string]string{
		"Content-Type": "application/json", "Access-Control-Allow-Origin": "*", "Allow": "", "Retry-After": "", "WWW-Authenticate": "",
	}, body}
}

func buddyError(status, number int, name, message string) expected {
	return buddyAnswer(status, fmt.Sprintf(`{"status":%d,"error":"%s","errorNumber":%d,"message":"%s","request_id":"<24 hex>"}`, status, name, number, message))
}

func buddyFormat(message string) expected {
	return buddyError(400, 515, "ParameterIncorrectFormat", message)
}

func buddyMissing(message string) expected {
	return buddyError(400, 513, "ParameterMissingRequiredValue", message)
}

func buddyFailure(message string) expected {
	return buddyError(500, 0, "UnknownServiceError", message)
}

// compareBuddy compares whole answers, and looks for what would break a client.
func compareBuddy(t *testing.T, got answer, want expected) {
	t.Helper()
	if matches(want.body, got.body) {
		want.body = got.body
	}
	compare(t, got, want)
	checkBuddy(t, got)
}

func checkBuddy(t *testing.T, got answer) {
	t.Helper()
	if !slices.Contains([]int{200, 201, 400, 405, 500}, got.status) {
		t.Errorf("status %d", got.status)
	}
	if values := got.header.Values("Content-Type"); !slices.Equal(values, []string{"application/json"}) {
		t.Errorf("Content-Type %q", values)
	}
	var document struct {
		Status      int
		ErrorNumber int
	}
	if err := json.Unmarshal([]byte(got.body), &document); err != nil || document.Status != got.status {
		t.Errorf("status %d and document %q", got.status, got.body)
	}
	if document.ErrorNumber == 260 || document.ErrorNumber == 263 {
		t.Errorf("a client would forget its user: %s", got.body)
	}
}

// sameBuddy fails unless two answers are equal but for the date and the id of
// the request, which is another one each time.
func sameBuddy(t *testing.T, a, b answer) {
	t.Helper()
	id := regexp.MustCompile(`"request_id":"([0-9a-f]{24})"`)
	if x, y := id.FindString(a.body), id.FindString(b.body); x == "" || x == y {
		t.Errorf("ids %s and %s", x, y)
	}
	a.body, b.body = id.ReplaceAllString(a.body, ""), id.ReplaceAllString(b.body, "")
	same(t, a, b)
}

// signed adds the vendor's signature of a method to a header. There is no
// vector for PUT.
func signed(t *testing.T, method string, header []string) []string {
	t.Helper()
	mac := hmac.New(sha256.New, []byte("sharedsecret"))
	fmt.Fprintf(mac, "%s\nappid\n/users/password", method)
	signature := hex.EncodeToString(mac.Sum(nil))
	if method != "PUT" && signature != buddyVector(t, method+" "+buddyPath) {
		t.Fatalf("signature %s", signature)
	}
	return append([]string{"Authorization: Buddy devtok " + signature}, header...)
}

// buddyVector returns a vector of testdata/seed-contracts.json.
func buddyVector(t *testing.T, name string) string {
	t.Helper()
	var all struct {
		Vector map[string]string `json:"buddy_signature_vector"`
	}
	readJSON(t, "seed-contracts.json", &all)
	if all.Vector[name] == "" {
		t.Fatalf("no vector %s", name)
	}
	return all.Vector[name]
}

func TestBuddyContract(t *testing.T) {
	replaySeed(t, "buddy", map[string]string{"<code>": liveCode}, func(t *testing.T, c seedCase) *world {
		w := speakBuddy(t, func(d *dialect.Buddy) {
			if c.Mode != "default" {
				withSecret(d)
				d.RevealAccounts = c.Mode == "reveal"
				// The cases have no credential, and need one.
				c.Request.Headers["Authorization"] = "Buddy devtok " + buddyVector(t, "POST "+buddyPath)
			}
		})
		w.login = "SuperBuddy"
		return w
	})
}

// The answers in these files are those of a stub: what a client made of them
// says what it stands, not what the original sends.
func TestBuddyCaptures(t *testing.T) {
	device := buddyAnswer(201, `{"status":201,"result":{"accessToken":"<token>","accessTokenExpires":"/Date(<unix ms>)/"},"request_id":"<24 hex>"}`)
	for _, file := range []string{"buddy-python-sdk.json", "buddy-ruby-gem.json", "buddy-ruby-gem-429.json"} {
		t.Run(file, func(t *testing.T) {
			w := speakBuddy(t, nil)
			w.login = "SuperBuddy"
			for _, c := range captures(t, file) {
				c.Request.Body = json.RawMessage(strings.Replace(string(c.Request.Body), "ABC123", liveCode, 1))
				want := buddyAnswer(200, buddySuccess)
				if c.Request.Path == "/devices" {
					want = device
				}
				compareBuddy(t, w.replay(c), want)
			}
			logins := []string{"SuperBuddy", "SuperBuddy"}
			if strings.Contains(file, "ruby") {
				logins[1] = "ghost"
			}
			if diff := cmp.Diff(logins, w.logins()); diff != "" {
				t.Errorf("logins (-want +got):\n%s", diff)
			}
			changes := []reset.NewPassword{{Token: codeToken, Password: "newpass123", ClientIP: ipOf(clientIP)}}
			if diff := cmp.Diff(changes, w.changes, cmp.Comparer(sameIP)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuddyStart(t *testing.T) {
	for _, tt := range []struct {
		name, method string
		header       []string
		body         string
		login        string
	}{
		{"JSON", "POST", buddyJSON, buddyStart, "cesare"},
		{"PUT", "PUT", buddyJSON, buddyStart, "cesare"},
		{"form", "POST", buddyForm, "userName=cesare&subject=s&body=Use+this+code%3A+%40ResetCode", "cesare"},
		{"form by PUT", "PUT", buddyForm, "username=cesare&subject=s&body=b", "cesare"},
		{"username", "POST", buddyJSON, `{"username":"cesare","subject":"s","body":"b"}`, "cesare"},
		{"any case", "POST", buddyJSON, `{"USERNAME":"cesare","Subject":"s","bODY":"b"}`, "cesare"},
		{"location", "POST", buddyJSON, `{"location":"1.0,2.0","userName":"cesare","subject":"s","body":"b"}`, "cesare"},
		{"location of .NET", "POST", buddyJSON, `{"location":{"latitude":1.5,"longitude":2},"userName":"cesare","subject":"s","body":"b","tag":null}`, "cesare"},
		{"iOS", "POST", []string{"Content-Type: application/json; charset=utf-8", "Authorization: Buddy devtok"}, buddyStart, "cesare"},
		{"charset in capitals", "POST", []string{`content-type: application/json;charset="UTF-8"`}, buddyStart, "cesare"},
		{"JavaScript", "POST", append([]string{"Accept: application/json", "Origin: https://pages.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, buddyJSON...), buddyStart, "cesare"},
		{".NET", "POST", append([]string{"BuddyPlatformSDK: DotNet;Version=1.0", "Authorization: Buddy t"}, buddyJSON...), buddyStart, "cesare"},
		{"Android in UTF-8", "POST", buddyJSON, `{"userName":"jörg","subject":"ü","body":"ä"}`, "jörg"},
		{"Android in ISO 8859-1", "POST", buddyJSON, "{\"userName\":\"j\xf6rg\",\"subject\":\"\xfc\",\"body\":\"\xe4\"}", "jörg"},
		{"charset ISO 8859-1", "POST", []string{"Content-Type: application/json; charset=ISO-8859-1"}, "{\"userName\":\"j\xc3\xb6rg\",\"subject\":\"s\",\"body\":\"b\"}", "jÃ¶rg"},
		{"form in ISO 8859-1", "POST", buddyForm, "userName=j%F6rg&subject=%FC&body=b", "jörg"},
		{"address", "POST", buddyJSON, `{"userName":"cesare@example.com","subject":"s","body":"b"}`, "cesare@example.com"},
		{"empty texts", "POST", buddyJSON, `{"userName":"cesare","subject":"","body":""}`, "cesare"},
		{"stale token", "POST", append([]string{"Authorization: Buddy 0123456789abcdef"}, buddyJSON...), buddyStart, "cesare"},
		{"no token", "POST", append([]string{"Authorization: Buddy"}, buddyJSON...), buddyStart, "cesare"},
		{"another scheme", "POST", append([]string{"Authorization: Bearer x"}, buddyJSON...), buddyStart, "cesare"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, nil)
			compareBuddy(t, w.do(tt.method, buddyPath, tt.header, tt.body), buddyAnswer(200, buddySuccess))
			want := []reset.Request{{Login: tt.login, Dialect: "buddy", ClientIP: ipOf(clientIP)}}
			if diff := cmp.Diff(want, w.requests, cmp.Comparer(sameIP)); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuddyFinish(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		body   string
	}{
		{"JSON", buddyJSON, buddyFinish},
		{"form", buddyForm, "userName=cesare&resetCode=12345678&newPassword=newpass123"},
		{"username", buddyJSON, `{"username":"cesare","resetcode":"12345678","NEWPASSWORD":"newpass123","location":"1,2"}`},
		{"as the mail shows it", buddyJSON, `{"userName":"cesare","resetCode":"1234 5678","newPassword":"newpass123"}`},
		{"copied with its line end", buddyJSON, `{"userName":"cesare","resetCode":" \t12345678\r\n","newPassword":"newpass123"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, nil)
			compareBuddy(t, w.do("PATCH", buddyPath, tt.header, tt.body), buddyAnswer(200, buddySuccess))
			want := []reset.NewPassword{{Token: codeToken, Password: "newpass123", ClientIP: ipOf(clientIP)}}
			if diff := cmp.Diff(want, w.changes, cmp.Comparer(sameIP)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if len(w.entries) != 1 || w.entries[0].Login != "cesare" || w.entries[0].ClientIP != ipOf(clientIP) {
				t.Errorf("entries %v", w.entries)
			}
		})
	}
}

// A password is handed on as it was typed, space and all.
func TestBuddyPasswords(t *testing.T) {
	for _, password := range []string{" leading and trailing ", "Pässwörter 密码 🎉", "a&b=c+d%20e", "tab\there", strings.Repeat("x", 200)} {
		quoted, _ := json.Marshal(password)
		w := speakBuddy(t, nil)
		compareBuddy(t, w.do("PATCH", buddyPath, buddyJSON, `{"userName":"cesare","resetCode":"12345678","newPassword":`+string(quoted)+`}`), buddyAnswer(200, buddySuccess))
		if len(w.changes) != 1 || w.changes[0].Password != password {
			t.Errorf("%q became %v", password, w.changes)
		}
	}
}

func TestBuddyFinishRefuses(t *testing.T) {
	const short = `{"userName":"cesare","resetCode":"12345678","newPassword":"short"}`
	dead := buddyFormat(buddyDead)
	for _, tt := range []struct {
		name, body string
		errs       map[string]error
		result     reset.Result
		want       expected
	}{
		{"wrong code", strings.Replace(buddyFinish, "12345678", "12345679", 1), nil, reset.Result{}, dead},
		{"code of another kind", strings.Replace(buddyFinish, "12345678", "ABC123", 1), nil, reset.Result{}, dead},
		{"empty code", strings.Replace(buddyFinish, "12345678", "", 1), nil, reset.Result{}, dead},
		{"nobody", strings.Replace(buddyFinish, "cesare", "ghost", 1), nil, reset.Result{}, dead},
		{"not a login", strings.Replace(buddyFinish, "cesare", `\u0000`, 1), nil, reset.Result{}, dead},
		{"wrong code and weak password", strings.Replace(short, "12345678", "12345679", 1), nil, reset.Result{}, dead},
		{"used meanwhile", buddyFinish, map[string]error{"Change": reset.ErrGrant}, reset.Result{}, dead},
		{"too many codes", buddyFinish, map[string]error{"Code": &reset.LimitError{RetryAfter: time.Minute}}, reset.Result{}, dead},
		{"too many changes", buddyFinish, map[string]error{"Change": &reset.LimitError{RetryAfter: time.Minute}}, reset.Result{}, dead},
		{"account gone", buddyFinish, nil, reset.Result{Status: reset.StatusGone}, dead},
		{"superseded", buddyFinish, nil, reset.Result{Status: reset.StatusSuperseded}, dead},
		{"weak password", short, nil, reset.Result{}, buddyFormat(buddyTooShort)},
		{"empty password", strings.Replace(buddyFinish, "newpass123", "", 1), nil, reset.Result{}, buddyFormat(buddyTooShort)},
		{"app refuses", buddyFinish, nil, reset.Result{Status: reset.StatusRefused, Detail: "Used <b>before</b>."}, buddyFormat("<text>Used <b>before</b>.")},
		{"app is down", buddyFinish, nil, reset.Result{Status: reset.StatusPending}, buddyFailure(buddyPending)},
		{"unknown outcome", buddyFinish, nil, reset.Result{Status: "later"}, buddyFailure(buddyDown)},
		{"store is down at the code", buddyFinish, map[string]error{"Code": reset.ErrUnavailable}, reset.Result{}, buddyFailure(buddyDown)},
		{"store is down at the change", buddyFinish, map[string]error{"Change": errDisk}, reset.Result{}, buddyFailure(buddyDown)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, nil)
			w.errs, w.result = tt.errs, tt.result
			got := w.do("PATCH", buddyPath, buddyJSON, tt.body)
			compareBuddy(t, got, tt.want)
			if strings.Contains(got.body, "success") {
				t.Errorf("answer %s", got.body)
			}
		})
	}
}

// What is missing is named, and nothing else is looked at.
func TestBuddyMissing(t *testing.T) {
	for _, tt := range []struct {
		name, method, body string
		want               expected
	}{
		{"no userName", "POST", `{"subject":"s","body":"b"}`, buddyMissing("userName is missing.")},
		{"null userName", "POST", `{"userName":null,"subject":"s","body":"b"}`, buddyMissing("userName is missing.")},
		{"empty userName", "POST", `{"userName":"","subject":"s","body":"b"}`, buddyMissing("userName is missing.")},
		{"no subject", "POST", `{"userName":"cesare","body":"b"}`, buddyMissing("subject is missing.")},
		{"null subject", "PUT", `{"userName":"cesare","subject":null,"body":"b"}`, buddyMissing("subject is missing.")},
		{"no body", "POST", `{"userName":"cesare","subject":"s"}`, buddyMissing("body is missing.")},
		{"null body", "POST", `{"userName":"cesare","subject":"s","body":null}`, buddyMissing("body is missing.")},
		{"nothing", "POST", `{}`, buddyMissing("userName is missing.")},
		{"userName at the end", "PATCH", `{"resetCode":"12345678","newPassword":"newpass123"}`, buddyMissing("userName is missing.")},
		{"empty userName at the end", "PATCH", `{"userName":"","resetCode":"12345678","newPassword":"newpass123"}`, buddyMissing("userName is missing.")},
		{"no resetCode", "PATCH", `{"userName":"cesare","newPassword":"newpass123"}`, buddyMissing("resetCode is missing.")},
		{"null newPassword", "PATCH", `{"userName":"cesare","resetCode":"12345678","newPassword":null}`, buddyMissing("newPassword is missing.")},
		{"a number", "POST", `{"userName":7,"subject":"s","body":"b"}`, buddyFormat("userName is not text.")},
		{"a list", "POST", `{"userName":["cesare","ghost"],"subject":"s","body":"b"}`, buddyFormat("userName is not text.")},
		{"half a character", "PATCH", `{"userName":"cesare","resetCode":"12345678","newPassword":"\ud800"}`, buddyFormat("newPassword is not text.")},
		{"a control", "POST", `{"userName":"ces\u0000are","subject":"s","body":"b"}`, buddyFormat("userName is not a user name.")},
		{"a line end", "POST", `{"userName":"cesare\nBcc: x","subject":"s","body":"b"}`, buddyFormat("userName is not a user name.")},
		{"too long", "POST", `{"userName":"` + strings.Repeat("x", 255) + `","subject":"s","body":"b"}`, buddyFormat("userName is not a user name.")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, nil)
			compareBuddy(t, w.do(tt.method, buddyPath, buddyJSON, tt.body), tt.want)
			if len(w.requests)+len(w.entries)+len(w.changes) > 0 {
				t.Errorf("the domain was asked: %q", w.asked())
			}
		})
	}
}

// Who has an account cannot be told from an answer.
func TestBuddyUniform(t *testing.T) {
	ghost := strings.NewReplacer("cesare", "ghostx", "12345678", "87654321")
	for name, set := range map[string]func(*dialect.Buddy){"default": nil, "signed": withSecret, "key": withKey} {
		for _, fault := range []error{nil, &reset.LimitError{RetryAfter: time.Minute}, reset.ErrUnavailable, errDisk} {
			t.Run(fmt.Sprint(name, fault), func(t *testing.T) {
				w := speakBuddy(t, set)
				w.errs = map[string]error{"Request": fault}
				header := signed(t, "POST", buddyJSON)
				known := w.do("POST", buddyPath, header, buddyStart)
				sameBuddy(t, known, w.do("POST", buddyPath, header, ghost.Replace(buddyStart)))
				want := buddyAnswer(200, buddySuccess)
				if fault == reset.ErrUnavailable || fault == errDisk {
					want = buddyFailure(buddyDown)
				}
				compareBuddy(t, known, want)
				w.errs = nil
				header = signed(t, "PATCH", buddyJSON)
				sameBuddy(t,
					w.do("PATCH", buddyPath, header, strings.Replace(buddyFinish, liveCode, "87654321", 1)),
					w.do("PATCH", buddyPath, header, ghost.Replace(buddyFinish)))
				if len(w.finds) > 0 {
					t.Errorf("looked up: %q", w.finds)
				}
			})
		}
	}
}

func TestBuddyReveals(t *testing.T) {
	reveal := func(d *dialect.Buddy) {
		withSecret(d)
		d.CallerText, d.RevealAccounts = false, true
	}
	for _, tt := range []struct {
		name    string
		finding reset.Finding
		errs    map[string]error
		want    expected
	}{
		{"found", reset.Found, nil, buddyAnswer(200, buddySuccess)},
		{"nobody", reset.Nobody, nil, buddyError(400, 769, "ItemDoesNotExist", "User not found")},
		{"no address", reset.NoAddress, nil, buddyMissing("The user has no email address.")},
		{"mail is down", reset.MailDown, nil, buddyFailure(buddyNoMail)},
		{"store is down", reset.Found, map[string]error{"Find": reset.ErrUnavailable}, buddyFailure(buddyDown)},
		{"not a login", reset.Found, map[string]error{"Find": reset.ErrLogin}, buddyFormat("userName is not a user name.")},
		{"limit", reset.Found, map[string]error{"Request": &reset.LimitError{}}, buddyAnswer(200, buddySuccess)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, reveal)
			w.findings, w.errs = map[string]reset.Finding{"cesare": tt.finding}, tt.errs
			compareBuddy(t, w.do("POST", buddyPath, signed(t, "POST", buddyJSON), buddyStart), tt.want)
			if asked := len(w.requests) == 1; asked != (tt.finding == reset.Found && tt.errs == nil) {
				t.Errorf("requests %v", w.requests)
			}
		})
	}
	t.Run("to nobody without the credential", func(t *testing.T) {
		w := speakBuddy(t, func(d *dialect.Buddy) {
			withKey(d)
			d.RevealAccounts = true
		})
		ghost := strings.Replace(buddyStart, "cesare", "ghost", 1)
		compareBuddy(t, w.do("POST", buddyPath, buddyJSON, ghost), buddyAnswer(200, buddySuccess))
		if len(w.finds) > 0 {
			t.Errorf("looked up: %q", w.finds)
		}
		compareBuddy(t, w.do("POST", buddyPath, w.registered(), ghost), buddyError(400, 769, "ItemDoesNotExist", "User not found"))
	})
}

// registered registers a device with the right credentials and returns the
// header of its calls.
func (w *world) registered() []string {
	w.t.Helper()
	return append([]string{"Authorization: Buddy " + w.device(`{"appID":"appid","appKey":"appkey"}`)}, buddyJSON...)
}

// device registers a device and returns its token.
func (w *world) device(body string) string {
	w.t.Helper()
	var device struct{ Result struct{ AccessToken string } }
	got := w.do("POST", "/devices", buddyJSON, body)
	if err := json.Unmarshal([]byte(got.body), &device); err != nil || got.status != 201 || device.Result.AccessToken == "" {
		w.t.Fatalf("registering: %d %s", got.status, got.body)
	}
	return device.Result.AccessToken
}

func TestBuddyMethods(t *testing.T) {
	w := speakBuddy(t, nil)
	want := buddyError(405, 516, "OperationNotFound", "There is no such operation.")
	for path, methods := range map[string][]string{
		buddyPath:  {"GET", "HEAD", "DELETE", "TRACE", "patch", "RESET"},
		"/devices": {"GET", "HEAD", "PUT", "PATCH", "DELETE"},
	} {
		want.header["Allow"] = "OPTIONS, PATCH, POST, PUT"
		if path == "/devices" {
			want.header["Allow"] = "OPTIONS, POST"
		}
		for _, method := range methods {
			t.Run(method+" "+path, func(t *testing.T) {
				got, want := w.do(method, path, buddyJSON, ""), want
				if method == "HEAD" {
					if want.body = ""; got.header.Get("Content-Length") == "0" {
						t.Error("no length")
					}
					compare(t, got, want)
					return
				}
				compareBuddy(t, got, want)
			})
		}
	}
	if calls := w.asked(); calls != nil {
		t.Errorf("the domain was asked: %q", calls)
	}
}

func TestBuddyPaths(t *testing.T) {
	w := speakBuddy(t, func(d *dialect.Buddy) { d.Path = "/buddy/" })
	for _, tt := range []struct {
		target string
		want   string // "app", or the name of an error
	}{
		{"/buddy/users/password", ""},
		{"/Buddy/USERS/Password?x=1", ""},
		{"/buddy/users/password/", "OperationNotFound"},
		{"/buddy//users/password", "OperationNotFound"},
		{"/buddy/users/./password", "OperationNotFound"},
		{"/buddy/users%2Fpassword", "OperationNotFound"},
		{"/buddy/users", "app"},
		{"/buddy/users/login", "app"},
		{"/buddy/users/password/x", "app"},
		{"/buddy/devices/current", "app"},
		{"/buddy/devices/current/crashreports", "app"},
		{"/buddy/", "app"},
		{"/users/password", "app"},
		{"/devices", "app"},
	} {
		t.Run(tt.target, func(t *testing.T) {
			got := w.do("POST", tt.target, buddyJSON, buddyStart)
			if got.foreign != (tt.want == "app") {
				t.Fatalf("passed on: %t; %d %s", got.foreign, got.status, got.body)
			}
			if got.foreign {
				return
			}
			checkBuddy(t, got)
			checkCommon(t, got)
			if !strings.Contains(got.body, tt.want) || (tt.want == "") != (got.status == 200) || (tt.want != "") != (got.status == 400) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

func TestBuddyPreflight(t *testing.T) {
	const page = "https://pages.example"
	for _, tt := range []struct {
		name    string
		origins []string
		header  []string
		want    map[string]string
		status  int // of the call behind it
	}{
		{"any", []string{"*"}, []string{"Origin: " + page}, map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST, PATCH, PUT, OPTIONS", "Access-Control-Allow-Headers": "authorization, content-type, accept",
		}, 200},
		{"listed", []string{"https://other.example", page}, []string{"Origin: " + page, "Sec-Fetch-Site: cross-site"}, map[string]string{
			"Access-Control-Allow-Origin": page, "Access-Control-Allow-Methods": "POST, PATCH, PUT, OPTIONS", "Access-Control-Allow-Headers": "authorization, content-type, accept", "Vary": "Origin",
		}, 200},
		{"not listed", []string{"https://other.example"}, []string{"Origin: " + page, "Sec-Fetch-Site: cross-site"}, map[string]string{
			"Access-Control-Allow-Origin": "", "Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": "", "Vary": "Origin",
		}, 400},
	} {
		for _, method := range []string{"POST", "PATCH", "PUT"} {
			t.Run(tt.name+" "+method, func(t *testing.T) {
				w := speakBuddy(t, func(d *dialect.Buddy) { withSecret(d); d.Origins = tt.origins })
				asks := append([]string{"Access-Control-Request-Method: " + method, "Access-Control-Request-Headers: authorization,content-type"}, tt.header...)
				for _, path := range []string{buddyPath, "/devices"} {
					tt.want["Content-Type"] = "application/json"
					compareBuddy(t, w.do("OPTIONS", path, asks, ""), expected{200, tt.want, buddySuccess})
				}
				body := buddyStart
				if method == "PATCH" {
					body = buddyFinish
				}
				got := w.do(method, buddyPath, append(signed(t, method, buddyJSON), tt.header...), body)
				checkBuddy(t, got)
				if got.status != tt.status || tt.status == 400 && !strings.Contains(got.body, `"error":"ObjectPermissionDenied","errorNumber":771,`) {
					t.Errorf("the call itself: %d %s", got.status, got.body)
				}
				if tt.status == 400 && w.asked() != nil {
					t.Errorf("the domain was asked: %q", w.asked())
				}
			})
		}
	}
}

// Each answer names its request anew, and the log knows the name.
func TestBuddyRequestID(t *testing.T) {
	w := speakBuddy(t, nil)
	seen := make(map[string]bool)
	id := regexp.MustCompile(`"request_id":"([0-9a-f]{24})"`)
	for _, body := range []string{buddyStart, buddyStart, "{}", "x", `{"userName":"\u0000","subject":"","body":""}`} {
		got := w.do("POST", buddyPath, buddyJSON, body)
		found := id.FindStringSubmatch(got.body)
		if found == nil || seen[found[1]] {
			t.Fatalf("id in %s", got.body)
		}
		seen[found[1]] = true
	}
	w.server.Close() // the line in the log follows the answer
	for id := range seen {
		if strings.Count(w.log.String(), "request_id="+id+"\n")+strings.Count(w.log.String(), "request_id="+id+" ") != 1 {
			t.Errorf("%s is not once in the log:\n%s", id, w.log.String())
		}
	}
}

func TestBuddyUnavailable(t *testing.T) {
	w := speakBuddy(t, nil)
	w.openErr = errDisk
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		body := buddyStart
		if method == "PATCH" {
			body = buddyFinish
		}
		compareBuddy(t, w.do(method, buddyPath, buddyJSON, body), buddyFailure(buddyDown))
	}
	w.openErr, w.panics = nil, true
	compareBuddy(t, w.do("POST", buddyPath, buddyJSON, buddyStart), buddyFailure(buddyDown))
}

func TestBuddyCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*dialect.Buddy)
		want string // how the error begins; "": there is none
	}{
		{"defaults", func(*dialect.Buddy) {}, ""},
		{"id and key", func(d *dialect.Buddy) { d.AppID, d.AppKey = "a", "hush" }, ""},
		{"id and secret", func(d *dialect.Buddy) { d.AppID, d.SharedSecret = "a", "hush" }, ""},
		{"all", func(d *dialect.Buddy) { withKey(d); withSecret(d); d.RevealAccounts = true }, ""},
		{"text with a key", withKey, ""},
		{"id alone", func(d *dialect.Buddy) { d.AppID = "a" }, "app_id: "},
		{"key alone", func(d *dialect.Buddy) { d.AppKey = "hush" }, "app_key: "},
		{"secret alone", func(d *dialect.Buddy) { d.SharedSecret = "hush" }, "shared_secret: "},
		{"secret and key", func(d *dialect.Buddy) { d.AppKey, d.SharedSecret = "hush", "hush" }, "app_key: "},
		{"text alone", func(d *dialect.Buddy) { d.CallerText = true }, "caller_text: "},
		{"text and id", func(d *dialect.Buddy) { d.AppID, d.CallerText = "a", true }, "app_id: "},
		{"reveal alone", func(d *dialect.Buddy) { d.RevealAccounts = true }, "reveal_accounts: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := dialect.New("buddy").(*dialect.Buddy)
			tt.set(d)
			err := d.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "write `")) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestBuddyWording(t *testing.T) {
	contract, err := dialect.New("buddy").Open()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reset.Wording{Code: "@ResetCode"}, contract.Wording); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a client sends as a credential, and what it sets, comes back nowhere and
// is not logged.
func TestBuddyNothingSecretComesBack(t *testing.T) {
	header := []string{"Authorization: Buddy " + hush + " " + hush, "Cookie: x=" + hush, "User-Agent: " + hush}
	for _, tt := range []struct{ method, path, media, body string }{
		{"POST", "/devices", "application/json", `{"appID":"` + hush + `","appKey":"` + hush + `"}`},
		{"POST", "/devices", "application/json", `{"` + hush},
		{"POST", buddyPath, "application/json", `{"userName":"` + hush + `","subject":"@ResetCode","body":"@ResetCode ` + hush + `"}`},
		{"POST", buddyPath, "application/json", `{"userName":"` + hush + `\u0000","subject":"@ResetCode","body":"@ResetCode"}`},
		{"POST", buddyPath, hush, hush},
		{"PATCH", buddyPath, "application/json", `{"userName":"cesare","resetCode":"12345678","newPassword":"` + hush + `"}`},
		{"PATCH", buddyPath, "application/json", `{"userName":"` + hush + `","resetCode":"` + hush + `","newPassword":"` + hush + `"}`},
		{"GET", buddyPath + "?" + hush, "application/json", ""},
	} {
		for n, set := range []func(*dialect.Buddy){nil, withKey, withSecret, func(d *dialect.Buddy) { d.AppID, d.AppKey = hush, hush }} {
			for _, panics := range []bool{false, true} {
				w := speakBuddy(t, set)
				w.panics = panics
				got := w.do(tt.method, tt.path, append([]string{"Content-Type: " + tt.media}, header...), tt.body)
				checkBuddy(t, got)
				w.server.Close()
				if all := fmt.Sprint(got, w.log.String()); strings.Contains(all, hush) || strings.Contains(all, liveToken) || !strings.Contains(all, "dialect=buddy") {
					t.Errorf("%d: %s %s comes back: %s", n, tt.method, tt.path, all)
				}
			}
		}
	}
}
