package dialect_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

const (
	buddyDevice       = `{"status":201,"result":{"accessToken":"<token>","accessTokenExpires":"/Date(<unix ms>)/"},"request_id":"<24 hex>"}`
	buddySignedDevice = `{"status":201,"result":{"accessToken":"<token>","accessTokenExpires":"/Date(<unix ms>)/","serverSignature":"<signature>"},"request_id":"<24 hex>"}`
	buddyTokenLife    = 30 * 24 * time.Hour
)

// buddyDevices are the registrations of the vendor's SDKs.
var buddyDevices = []struct {
	name   string
	header []string
	body   string
}{
	{"JavaScript", buddyJSON, `{"appID":"appid","appKey":"appkey","platform":"Javascript","model":"Mozilla/5.0","uniqueId":"x"}`},
	{"Python", buddyJSON, `{"appId":"appid","appKey":"appkey","platform":"linux","model":"Hardware info not available","osVersion":"6.1","uniqueId":1234567890}`},
	{"PHP", buddyJSON, `{"appId":"appid","appKey":"appkey","platform":"PHP","model":"PHP","osVersion":"5.6","uniqueId":17}`},
	{"Ruby", buddyForm, `appID=appid&appKey=appkey&platform=Ruby`},
	{"Android", buddyJSON, `{"appid":"appid","appkey":"appkey","platform":"Android","model":"Nexus","osVersion":"5.0","uniqueId":"x","tag":null,"pushToken":"p","appVersion":"1","location":"1,2"}`},
	{"iOS", []string{"Content-Type: application/json; charset=utf-8"}, `{"appId":"appid","appKey":"appkey","Platform":"iOS","UniqueId":"x","Model":"iPhone","OSVersion":"8.1","DeviceToken":null}`},
	{".NET", []string{"Content-Type: application/json; charset=utf-8", "BuddyPlatformSDK: DotNet;Version=3.0"}, `{"AppId":"appid","AppKey":"appkey","ApplicationId":"com.example","Platform":"DotNet","UniqueID":"x","Model":"PC","OSVersion":"6.2","PushToken":null,"AppVersion":"1","Tag":null}`},
}

func TestBuddyDevices(t *testing.T) {
	for name, set := range map[string]func(*dialect.Buddy){"default": nil, "key": withKey, "secret": withSecret} {
		for _, tt := range buddyDevices {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				w := speakBuddy(t, set)
				want := buddyAnswer(201, buddyDevice)
				if name == "secret" {
					want.body = strings.Replace(buddySignedDevice, "<signature>", buddyVector(t, "serverSignature"), 1)
				}
				got := w.do("POST", "/devices", tt.header, tt.body)
				compareBuddy(t, got, want)
				if life := time.Until(millis(t, got.body)); life < buddyTokenLife-time.Minute || life > buddyTokenLife {
					t.Errorf("the token lives for %s", life)
				}
				if token := w.device(`{"appID":"appid","appKey":"appkey"}`); strings.Contains(got.body, token) {
					t.Error("two devices have one token")
				} else if _, err := hex.DecodeString(token); err != nil || token != strings.ToLower(token) {
					t.Errorf("token %q", token)
				}
			})
		}
	}
}

func TestBuddyDevicesRefuses(t *testing.T) {
	wrong := buddyError(400, 261, "AuthAppCredentialsInvalid", "appID or appKey is wrong.")
	for _, tt := range []struct {
		name, body string
		want       expected
	}{
		{"wrong id", `{"appID":"other","appKey":"appkey"}`, wrong},
		{"wrong key", `{"appID":"appid","appKey":"other"}`, wrong},
		{"both wrong", `{"appID":"appkey","appKey":"appid"}`, wrong},
		{"key in another case", `{"appID":"appid","appKey":"AppKey"}`, wrong},
		{"empty", `{"appID":"","appKey":""}`, wrong},
		{"no id", `{"appKey":"appkey"}`, buddyMissing("appID is missing.")},
		{"null key", `{"appID":"appid","appKey":null}`, buddyMissing("appKey is missing.")},
		{"a number", `{"appID":7,"appKey":"appkey"}`, buddyFormat("appID is not text.")},
		{"two keys", `{"appID":"appid","appKey":"other","AppKey":"appkey"}`, buddyFormat(buddyTwice)},
		{"no body", ``, buddyFormat(buddyTwice)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			compareBuddy(t, speakBuddy(t, withKey).do("POST", "/devices", buddyJSON, tt.body), tt.want)
		})
	}
	// Nobody looks at what is not configured.
	for _, body := range []string{`{}`, `{"appID":7,"appKey":null}`, `{"platform":"x"}`} {
		compareBuddy(t, speakBuddy(t, nil).do("POST", "/devices", buddyJSON, body), buddyAnswer(201, buddyDevice))
	}
}

// Clients without a token drop what they wait for and never say so.
func TestBuddyDevicesWithoutDomain(t *testing.T) {
	for name, set := range map[string]func(*dialect.Buddy){"default": nil, "key": withKey} {
		t.Run(name, func(t *testing.T) {
			w := speakBuddy(t, set)
			w.openErr = errDisk
			got := w.do("POST", "/devices", buddyJSON, buddyDevices[0].body)
			compareBuddy(t, got, buddyAnswer(201, buddyDevice))
			life := time.Until(millis(t, got.body))
			if short := life < 11*time.Minute; short != (name == "key") || life <= time.Minute {
				t.Errorf("the token lives for %s", life)
			}
			token := w.device(`{"appID":"appid","appKey":"appkey"}`)
			w.openErr = nil
			compareBuddy(t, w.do("POST", buddyPath, append([]string{"Authorization: Buddy " + token}, buddyJSON...), buddyStart), buddyAnswer(200, buddySuccess))
			if w.requests[0].Words != nil || w.requests[0].Trusted {
				t.Error("a token that nobody sealed is trusted")
			}
		})
	}
}

// Who shows the credential may bring words and has no limit by address.
func TestBuddyTrust(t *testing.T) {
	w := speakBuddy(t, withKey)
	token := w.device(`{"appID":"appid","appKey":"appkey"}`)
	flip := func(at int) string {
		b := []byte(token)
		b[at] ^= 1
		return string(b)
	}
	keyed := func(d *dialect.Buddy) {
		withSecret(d)
		d.AppKey = "appkey"
	}
	post := buddyVector(t, "POST "+buddyPath)
	for _, tt := range []struct {
		name, authorization string
		set                 func(*dialect.Buddy)
		trusted, refused    bool
	}{
		{name: "token", authorization: "Buddy " + token, set: withKey, trusted: true},
		{name: "token and a signature", authorization: "Buddy " + token + " " + post, set: withKey, trusted: true},
		{name: "scheme in lower case", authorization: "buddy " + token, set: withKey, trusted: true},
		{name: "no header", set: withKey},
		{name: "scheme alone", authorization: "Buddy", set: withKey},
		{name: "token alone", authorization: token, set: withKey},
		{name: "another scheme", authorization: "Bearer " + token, set: withKey},
		{name: "unknown token", authorization: "Buddy devtok", set: withKey},
		{name: "no hex", authorization: "Buddy " + strings.Repeat("x", len(token)), set: withKey},
		{name: "another expiry", authorization: "Buddy " + flip(12), set: withKey},
		{name: "another nonce", authorization: "Buddy " + flip(20), set: withKey},
		{name: "another seal", authorization: "Buddy " + flip(len(token)-1), set: withKey},
		{name: "part of it", authorization: "Buddy " + token[:len(token)-2], set: withKey},
		{name: "more than it", authorization: "Buddy " + token + "00", set: withKey},
		{name: "more behind it", authorization: "Buddy " + token + " x y", set: withKey},
		{name: "two headers", authorization: "Buddy " + token + "\r\nAuthorization: Buddy " + token, set: withKey},
		{name: "app key changed", authorization: "Buddy " + token, set: func(d *dialect.Buddy) { withKey(d); d.AppKey = "newkey" }},
		{name: "app id changed", authorization: "Buddy " + token, set: func(d *dialect.Buddy) { withKey(d); d.AppID = "newid" }},
		{name: "nothing configured", authorization: "Buddy " + token, set: nil},
		{name: "nothing configured, signed", authorization: "Buddy " + token + " " + post, set: nil},
		{name: "signature", authorization: "Buddy devtok " + post, set: withSecret, trusted: true},
		{name: "signature with a key configured", authorization: "Buddy devtok " + post, set: keyed, trusted: true},
		{name: "token in place of a signature", authorization: "Buddy " + token, set: keyed, refused: true},
		{name: "no header for a signature", set: withSecret, refused: true},
		{name: "signature of another method", authorization: "Buddy devtok " + buddyVector(t, "PATCH "+buddyPath), set: withSecret, refused: true},
		{name: "signature in capitals", authorization: "Buddy devtok " + strings.ToUpper(post), set: withSecret, refused: true},
		{name: "signature in place of a token", authorization: "Buddy " + post, set: withSecret, refused: true},
		{name: "the server's signature", authorization: "Buddy devtok " + buddyVector(t, "serverSignature"), set: withSecret, refused: true},
		{name: "part of a signature", authorization: "Buddy devtok " + post[:63], set: withSecret, refused: true},
		{name: "two spaces", authorization: "Buddy devtok  " + post, set: withSecret, refused: true},
		{name: "another secret", authorization: "Buddy devtok " + post, set: func(d *dialect.Buddy) { withSecret(d); d.SharedSecret = "other" }, refused: true},
		{name: "another app", authorization: "Buddy devtok " + post, set: func(d *dialect.Buddy) { withSecret(d); d.AppID = "other" }, refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := speakBuddy(t, tt.set)
			header := buddyJSON
			if tt.authorization != "" {
				header = append([]string{"Authorization: " + tt.authorization}, header...)
			}
			got := w.do("POST", buddyPath, header, buddyStart)
			if tt.refused {
				refused := buddyError(400, 258, "AuthSignatureInvalid", "The signature in the header Authorization is missing or wrong.")
				compareBuddy(t, got, refused)
				compareBuddy(t, w.do("PUT", buddyPath, header, "{"), refused)
				compareBuddy(t, w.do("PATCH", buddyPath, append([]string{"Authorization: Buddy x " + post}, buddyJSON...), buddyFinish), refused)
				if calls := w.asked(); calls != nil {
					t.Errorf("the domain was asked: %q", calls)
				}
				return
			}
			compareBuddy(t, got, buddyAnswer(200, buddySuccess))
			if (w.requests[0].Words != nil) != tt.trusted || w.requests[0].Trusted != tt.trusted {
				t.Errorf("trusted: %t; request %+v", !tt.trusted, w.requests[0])
			}
			w.server.Close() // the line in the log follows the answer
			if told := strings.Contains(w.log.String(), "words=\"ignored: the client"); told != (tt.set != nil && !tt.trusted) {
				t.Errorf("log: %s", w.log.String())
			}
		})
	}
	t.Run("at the end", func(t *testing.T) {
		w := speakBuddy(t, withSecret)
		compareBuddy(t, w.do("PATCH", buddyPath, signed(t, "PATCH", buddyJSON), buddyFinish), buddyAnswer(200, buddySuccess))
		if !w.entries[0].Trusted || !w.changes[0].Trusted {
			t.Error("an app's own server shares a limit with everybody behind it")
		}
	})
}

// A token is trusted for as long as the client was told, in any process.
func TestBuddyTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := &fakeSite{login: "cesare"}
		call := func(path, token, body string) string {
			d := dialect.New("buddy").(*dialect.Buddy)
			withKey(d)
			h, err := web.New(web.Options{
				BaseURL: origin, Dialects: map[string]web.Dialect{"buddy": d},
				Open: func(context.Context) (web.Site, func(), error) { return site, func() {}, nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Buddy "+token)
			route, ours := h.Route(r)
			if !ours {
				t.Fatalf("%s is not ours", path)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r, route, netip.MustParseAddr(clientIP))
			return w.Body.String()
		}
		time.Sleep(700 * time.Millisecond) // no whole second
		body := call("/devices", "", `{"appID":"appid","appKey":"appkey"}`)
		var device struct{ Result struct{ AccessToken string } }
		if err := json.Unmarshal([]byte(body), &device); err != nil {
			t.Fatal(err)
		}
		told := millis(t, body)
		words := func() *reset.Words {
			if answer := call(buddyPath, device.Result.AccessToken, buddyStart); !strings.Contains(answer, `"success":true`) {
				t.Fatalf("answer %s", answer)
			}
			return site.requests[len(site.requests)-1].Words
		}
		if words() == nil {
			t.Error("a new token is not trusted")
		}
		time.Sleep(time.Until(told) - time.Millisecond)
		if words() == nil {
			t.Error("a token is not trusted in its last moment")
		}
		time.Sleep(time.Millisecond)
		if words() != nil {
			t.Error("an expired token is trusted")
		}
	})
}

// millis returns the expiry in the answer to a registration.
func millis(t *testing.T, body string) time.Time {
	t.Helper()
	found := regexp.MustCompile(`"accessTokenExpires":"/Date\(([0-9]+)\)/"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no expiry in %s", body)
	}
	ms, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.UnixMilli(ms)
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
