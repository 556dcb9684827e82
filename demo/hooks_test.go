package demo_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

// send signs by hand, not with the code that the app verifies with.
func send(t *testing.T, address, id, body string, at time.Time) (int, string) {
	t.Helper()
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	signature := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return post(t, address, body, id, timestamp, signature)
}

func post(t *testing.T, address, body, id, timestamp, signature string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", timestamp)
	r.Header.Set("webhook-signature", signature)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func change(account string, sequence int64, format, password string) string {
	return fmt.Sprintf(`{"type":"password.changed","timestamp":"2026-01-02T03:04:05Z","data":{"site":"app.example.com",`+
		`"reset_id":"r","sequence":%d,"account":{"id":%q,"login":"alice"},"password":{"format":%q,"value":%q}}}`,
		sequence, account, format, password)
}

func TestLookupHook(t *testing.T) {
	_, server := startApp(t)
	alice := `{"accounts":[{"id":"1001","login":"alice","email":"alice@example.com","name":"Alice Archer","locale":"en"}]}`
	for name, c := range map[string]struct{ body, want string }{
		"login":   {`{"type":"account.lookup","data":{"site":"s","login":"alice"}}`, alice},
		"folded":  {`{"type":"account.lookup","data":{"site":"s","login":"ALICE@example.COM"}}`, alice},
		"unknown": {`{"type":"account.lookup","data":{"site":"s","login":"mallory"}}`, `{"accounts":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			status, body := send(t, server.URL+demo.LookupPath, "id1", c.body, time.Now())
			if status != 200 || strings.TrimSpace(body) != c.want {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	if status, _ := send(t, server.URL+demo.LookupPath, "id1", change("1001", 1, "plain", "x"), time.Now()); status != 400 {
		t.Errorf("status %d for the wrong type", status)
	}
}

func TestHooksRefuseWhatIsNotSigned(t *testing.T) {
	app, server := startApp(t)
	body := change("1001", 1, "plain", "cobalt walnut teacup ferry")
	now := strconv.FormatInt(time.Now().Unix(), 10)
	for name, got := range map[string]func() (int, string){
		"no signature": func() (int, string) { return post(t, server.URL+demo.ChangedPath, body, "id1", now, "") },
		"forged": func() (int, string) {
			return post(t, server.URL+demo.ChangedPath, body, "id1", now, "v1,"+strings.Repeat("A", 43)+"=")
		},
		"played again": func() (int, string) {
			return send(t, server.URL+demo.ChangedPath, "id1", body, time.Now().Add(-6*time.Minute))
		},
		"lookup": func() (int, string) { return post(t, server.URL+demo.LookupPath, body, "id1", now, "") },
	} {
		if status, _ := got(); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, status)
		}
	}
	if status, _ := logIn(t, server.URL, "alice", demo.InitialPassword); status != 200 {
		t.Error("the password was changed")
	}
	if got := app.Deliveries(); len(got) != 0 {
		t.Errorf("%d deliveries", len(got))
	}
}

func TestChangedHook(t *testing.T) {
	app, server := startApp(t)
	_, before := logIn(t, server.URL, "alice", demo.InitialPassword)
	const first, second = "cobalt walnut teacup ferry", "velvet anchor maple comet"
	for _, c := range []struct {
		name, id, body string
		status         int
		works          string // the password after it
	}{
		{"refused", "id1", change("1001", 10, "plain", "Legacy walnut teacup"), 422, demo.InitialPassword},
		{"too long for bcrypt", "id2", change("1001", 10, "plain", strings.Repeat("x", 73)), 422, demo.InitialPassword},
		{"unknown format", "id3", change("1001", 10, "md5", "x"), 400, demo.InitialPassword},
		{"not a hash", "id3", change("1001", 10, "bcrypt", "x"), 400, demo.InitialPassword},
		{"unknown account", "id4", change("7", 10, "plain", first), 410, demo.InitialPassword},
		{"refused id, judged anew", "id1", change("1001", 10, "plain", first), 204, first},
		{"repeat with another password", "id1", change("1001", 10, "plain", second), 204, first},
		{"older", "id5", change("1001", 9, "plain", second), 409, first},
		{"same sequence", "id6", change("1001", 10, "plain", second), 204, second},
		{"repeat of an older one", "id1", change("1001", 10, "plain", first), 204, second},
		{"not json", "id7", `{`, 400, second},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := send(t, server.URL+demo.ChangedPath, c.id, c.body, time.Now())
			if status != c.status {
				t.Errorf("status %d, want %d: %s", status, c.status, body)
			}
			if status == 422 {
				var problem struct{ Detail string }
				if err := json.Unmarshal([]byte(body), &problem); err != nil || !strings.Contains(problem.Detail, "old system cannot store") {
					t.Errorf("%v, %q", err, body)
				}
			}
			if status, _ := logIn(t, server.URL, "alice", c.works); status != 200 {
				t.Errorf("%d for the password that should work", status)
			}
		})
	}
	if _, body := read(t, before, server.URL); strings.Contains(body, "Hello") {
		t.Error("who was logged in with the old password still is")
	}

	deliveries := app.Deliveries()
	want := demo.Delivery{ID: "id1", Type: "password.changed", Site: "app.example.com", Account: "1001", Sequence: 10, Format: "plain", Status: 422}
	if diff := cmp.Diff(want, deliveries[0]); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprintf("%+v", deliveries); strings.Contains(got, "walnut") || strings.Contains(got, "velvet") {
		t.Error("a password is in the record")
	}
}

func TestChangedHookTakesHashes(t *testing.T) {
	_, server := startApp(t)
	const password = "cobalt walnut teacup ferry"
	for i, format := range []string{"bcrypt", "argon2id"} {
		h, err := passwords.NewHasher(format)
		if err != nil {
			t.Fatal(err)
		}
		hash, err := h.Hash(password + format)
		if err != nil {
			t.Fatal(err)
		}
		if status, body := send(t, server.URL+demo.ChangedPath, format, change("1001", int64(i), format, hash), time.Now()); status != 204 {
			t.Errorf("%s: %d %s", format, status, body)
		}
		if status, _ := logIn(t, server.URL, "alice", password+format); status != 200 {
			t.Errorf("%s: the new password gives %d", format, status)
		}
		if status, _ := logIn(t, server.URL, "alice", password); status != 401 {
			t.Errorf("%s: a wrong password gives %d", format, status)
		}
	}
}

func TestChangedHookRefusesCostlyHashes(t *testing.T) {
	_, server := startApp(t)
	salt, tag := base64.RawStdEncoding.EncodeToString(make([]byte, 16)), base64.RawStdEncoding.EncodeToString(make([]byte, 32))
	for _, hash := range []string{
		"$argon2id$v=19$m=4294967295,t=2,p=1$" + salt + "$" + tag,
		"$argon2id$v=19$m=64,t=4294967295,p=1$" + salt + "$" + tag,
		"$argon2id$v=19$m=64,t=2,p=0$" + salt + "$" + tag,
		"$argon2id$v=16$m=64,t=2,p=1$" + salt + "$" + tag,
		"$argon2id$v=19$m=64,t=2,p=1$$" + tag,
		"$argon2id$v=19$m=64,t=2,p=1$" + salt + "$",
		"$argon2id$v=19$m=64,t=2,p=1$" + salt,
		"$argon2i$v=19$m=64,t=2,p=1$" + salt + "$" + tag,
	} {
		if status, _ := send(t, server.URL+demo.ChangedPath, "id", change("1001", 1, "argon2id", hash), time.Now()); status != 400 {
			t.Errorf("%s: status %d", hash, status)
		}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	costly := strings.Replace(string(hash), "$04$", "$31$", 1)
	if status, _ := send(t, server.URL+demo.ChangedPath, "id", change("1001", 1, "bcrypt", costly), time.Now()); status != 400 {
		t.Errorf("bcrypt with cost 31: status %d", status)
	}
}

// TestHooksAnswerPing holds that the app passes the check of its set-up, which
// a forged ping does not, and that nothing comes of either.
func TestHooksAnswerPing(t *testing.T) {
	app, server := startApp(t)
	const ping = `{"type":"ping","timestamp":"2026-01-02T03:04:05Z","data":{"site":"app.example.com"}}`
	for _, path := range []string{demo.LookupPath, demo.ChangedPath} {
		if status, body := send(t, server.URL+path, "id1", ping, time.Now()); status != http.StatusNoContent || body != "" {
			t.Errorf("%s: %d %s", path, status, body)
		}
		now := strconv.FormatInt(time.Now().Unix(), 10)
		if status, _ := post(t, server.URL+path, ping, "id1", now, "v1,"+strings.Repeat("A", 43)+"="); status != http.StatusUnauthorized {
			t.Errorf("%s, forged: %d", path, status)
		}
	}
	if got := app.Deliveries(); len(got) != 0 {
		t.Errorf("%d deliveries", len(got))
	}
}

func TestHookBodyIsBounded(t *testing.T) {
	_, server := startApp(t)
	if status, _ := send(t, server.URL+demo.ChangedPath, "id", strings.Repeat(" ", 70<<10), time.Now()); status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", status)
	}
}
