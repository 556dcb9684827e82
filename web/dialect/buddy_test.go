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
