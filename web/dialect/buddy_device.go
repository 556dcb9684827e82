package dialect

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

const (
	// buddyTokenLife is how long a device keeps its token.
	buddyTokenLife = 30 * 24 * time.Hour

	// buddySpareLife is that of a token which is worth nothing because the key
	// to make one was not to be had: the client soon asks for another.
	buddySpareLife = 10 * time.Minute

	// A token is its expiry in Unix seconds, what makes it unique, and a MAC.
	buddyExpiry = 8
	buddyUnique = 16
	buddyToken  = buddyExpiry + buddyUnique + sha256.Size
)

// A buddyDevice is the answer to a registration.
type buddyDevice struct {
	Status int `json:"status"`
	Result struct {
		AccessToken     string `json:"accessToken"`
		Expires         string `json:"accessTokenExpires"` // clients read this form alone, and fail without it
		ServerSignature string `json:"serverSignature,omitempty"`
	} `json:"result"`
	RequestID string `json:"request_id"`
}

// register gives a device its token. It refuses as little as it can: without a
// token clients drop all that waits for one and never say so.
func (d *Buddy) register(c *web.Call) {
	fields, fault := readBuddyFields(c)
	if fault != "" {
		d.Fail(c, fault)
		return
	}
	if d.AppKey != "" {
		in, ok := d.need(c, fields, "appID", "appKey")
		if !ok {
			return
		}
		rightID, rightKey := among(in[0], []string{d.AppID}), among(in[1], []string{d.AppKey})
		if !rightID || !rightKey {
			d.refuse(c, buddyCredentials, "appID or appKey is wrong.")
			return
		}
	}
	var device buddyDevice
	device.Status = http.StatusCreated
	token, expires := d.issue(c)
	device.Result.AccessToken = token
	device.Result.Expires = "/Date(" + strconv.FormatInt(expires.UnixMilli(), 10) + ")/"
	if key := fields["appkey"]; d.SharedSecret != "" && key.text != "" {
		// What the client chose ends in a line feed here, and never does in
		// what a request is signed over: this signs no request for anybody.
		device.Result.ServerSignature = d.sign(key.text + "\n")
	}
	device.RequestID = buddyRequest(c)
	c.JSON(http.StatusCreated, buddyMedia, device)
}

// admit tells whether a call to /users/password may go on, and trusts it if it
// shows the credential.
func (d *Buddy) admit(c *web.Call) bool {
	token, signature := buddyAuthorization(c.Request().Header)
	switch {
	case d.SharedSecret != "":
		want := d.sign(c.Request().Method + "\n" + d.AppID + "\n" + buddyPassword)
		if !hmac.Equal([]byte(signature), []byte(want)) {
			return false
		}
		c.Trust()
	case d.AppKey != "":
		// Any other token goes on without trust: a client knows no other way
		// than to forget the person who uses it.
		if d.issued(c, token) {
			c.Trust()
		}
	}
	return true
}

// buddyAuthorization splits the header: Buddy TOKEN [SIGNATURE].
func buddyAuthorization(h http.Header) (token, signature string) {
	values := h.Values("Authorization")
	if len(values) != 1 {
		return "", ""
	}
	parts := strings.Split(values[0], " ")
	if len(parts) < 2 || len(parts) > 3 || reset.Fold(parts[0]) != "buddy" {
		return "", ""
	}
	if len(parts) == 3 {
		signature = parts[2]
	}
	return parts[1], signature
}

// sign returns the signature of the vendor's clients.
func (d *Buddy) sign(data string) string {
	mac := hmac.New(sha256.New, []byte(d.SharedSecret))
	mac.Write([]byte(data))
	return hex.EncodeToString(mac.Sum(nil))
}

// issue makes a token. Nothing is stored, and without an app key, or for as
// long as the domain is not available, it is worth nothing.
func (d *Buddy) issue(c *web.Call) (token string, expires time.Time) {
	raw := make([]byte, buddyToken)
	_, _ = rand.Read(raw) // never fails
	expires = time.Now().Add(buddyTokenLife).Truncate(time.Second)
	if d.AppKey == "" {
		return hex.EncodeToString(raw), expires
	}
	key, err := c.Key("device token")
	if err != nil {
		expires = time.Now().Add(buddySpareLife)
		return hex.EncodeToString(raw), expires
	}
	binary.BigEndian.PutUint64(raw, uint64(expires.Unix()))
	copy(raw[buddyExpiry+buddyUnique:], d.seal(key, raw))
	return hex.EncodeToString(raw), expires
}

// issued tells whether a token is one of ours, not expired, and was issued to a
// client that knew today's app id and app key.
func (d *Buddy) issued(c *web.Call, token string) bool {
	if len(token) != hex.EncodedLen(buddyToken) {
		return false
	}
	raw, err := hex.DecodeString(token)
	if err != nil {
		return false
	}
	key, err := c.Key("device token")
	if err != nil || !hmac.Equal(raw[buddyExpiry+buddyUnique:], d.seal(key, raw)) {
		return false
	}
	return time.Now().Before(time.Unix(int64(binary.BigEndian.Uint64(raw)), 0))
}

// seal returns the MAC of a token, which binds it to the credentials that it was
// issued for.
func (d *Buddy) seal(key [32]byte, raw []byte) []byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write(raw[:buddyExpiry+buddyUnique])
	for _, s := range []string{d.AppID, d.AppKey} {
		sum := sha256.Sum256([]byte(s)) // of one length: no two pairs run together
		mac.Write(sum[:])
	}
	return mac.Sum(nil)
}
