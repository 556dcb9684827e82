package dialect

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/web"
)

// The paths of the contract, below the root. Signatures hold them.
const (
	buddyDevices  = "/devices"
	buddyPassword = "/users/password"
)

// The numbers of errors. 260, 261 and 263 make clients forget the app or the
// person, so that the first and the last are never used.
const (
	buddyUnknown     = 0
	buddySignature   = 258
	buddyCredentials = 261
	buddyMissing     = 513
	buddyFormat      = 515
	buddyOperation   = 516
	buddyNobody      = 769
	buddyDenied      = 771
)

var buddyErrors = map[int]string{
	buddyUnknown:     "UnknownServiceError",
	buddySignature:   "AuthSignatureInvalid",
	buddyCredentials: "AuthAppCredentialsInvalid",
	buddyMissing:     "ParameterMissingRequiredValue",
	buddyFormat:      "ParameterIncorrectFormat",
	buddyOperation:   "OperationNotFound",
	buddyNobody:      "ItemDoesNotExist",
	buddyDenied:      "ObjectPermissionDenied",
}

const (
	// buddyCode is what callers write where the code is to stand.
	buddyCode = "@ResetCode"

	// Texts that stand for more than one outcome.
	buddyDeadCode = "The reset code is invalid or has expired."
	buddyDown     = "The request could not be carried out. Try again later."
)

// Buddy speaks the part of Buddy's API that a reset needs:
//
//	POST /devices            register the device, which every SDK does first
//	POST /users/password     mail a code; PUT does the same
//	PATCH /users/password    set a new password with the code
//
// The rest of that API is the app's. A device is not stored: its token says by
// itself whom it was issued to.
//
// Clients take any status but 200, 201, 400 and 500 for a fault of their own,
// an empty body for success, and a parameter in Content-Type for an error. So
// answers are of these statuses, 405 aside, JSON, and `application/json`. There
// is no answer that tells a client to slow down.
type Buddy struct {
	// Path is what stands before /devices and /users/password, as clients call
	// them. Default: the root.
	Path string `json:"path,omitempty" usage:"path /buddy"`

	// AppID and AppKey are the app's credentials. With both, a device that
	// registers with others is refused, and one that has registered with these
	// is trusted for 30 days. They stand in every copy of the app. Default:
	// none, and what clients send is not looked at.
	AppID  string `json:"app_id,omitempty" usage:"app_id bbbbbc.example"`
	AppKey string `json:"app_key,omitempty" usage:"app_key {env.BUDDY_APP_KEY}" secret:"true"`

	// SharedSecret is what the app signs its requests with; it needs AppID. A
	// request for a reset without the right signature is refused, and one with
	// it is trusted. The signature is the same for all requests to one path.
	// Default: none.
	SharedSecret string `json:"shared_secret,omitempty" usage:"shared_secret {env.BUDDY_SHARED_SECRET}" secret:"true"`

	// CallerText takes subject and body of the mail from clients that are
	// trusted: plain text that holds @ResetCode, with links to this site's own
	// host at most. It needs a credential: AppID with AppKey, or SharedSecret.
	// Default: the mail is ours, and their text is ignored.
	CallerText bool `json:"caller_text,omitempty" usage:"caller_text"`

	// RevealAccounts tells clients that are trusted whether there is an account
	// and whether it has an address. It needs a credential, as CallerText does.
	// Default: nobody is told.
	RevealAccounts bool `json:"reveal_accounts,omitempty" usage:"reveal_accounts"`

	// Origins are the origins whose pages may call, "*" for all. Default: *.
	Origins []string `json:"origins,omitempty" usage:"origins https://app.example.com"`
}

func newBuddy() web.Dialect { return &Buddy{Origins: []string{"*"}} }

// A buddySuccess is the document of a call that has done its work. Typed
// clients need Result to be a boolean.
type buddySuccess struct {
	Status    int    `json:"status"`
	RequestID string `json:"request_id"`
	Success   bool   `json:"success"`
	Result    bool   `json:"result"`
}

// A buddyError is the document of an error. It has no member `success` and no
// `result`.
type buddyError struct {
	Status    int    `json:"status"`
	Error     string `json:"error"`
	Number    int    `json:"errorNumber"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// Check implements [web.Dialect].
func (d *Buddy) Check() error {
	if err := web.CheckPath(d.Path); err != nil {
		return err
	}
	known := d.SharedSecret != "" || d.AppKey != ""
	switch {
	case d.AppID == "" && d.AppKey != "":
		return errors.New("app_key: it belongs to an id; write `app_id` too")
	case d.AppID == "" && d.SharedSecret != "":
		return errors.New("shared_secret: signatures hold the id of the app; write `app_id` too")
	case d.AppID != "" && !known:
		return errors.New("app_id: it keeps nobody out by itself; write `app_key` or `shared_secret` too")
	case d.CallerText && !known:
		return errors.New("caller_text: anybody could put words into your mails; write `app_id` with `app_key` or `shared_secret` too")
	case d.RevealAccounts && !known:
		return errors.New("reveal_accounts: anybody could ask who has an account; write `app_id` with `app_key` or `shared_secret` too")
	}
	return web.CheckOrigins(d.Origins)
}

// Open implements [web.Dialect].
func (d *Buddy) Open() (web.Contract, error) {
	endpoints := []web.Endpoint{
		{
			Path:    mount(d.Path) + buddyDevices,
			Methods: map[string]func(*web.Call){http.MethodPost: d.register, http.MethodOptions: d.preflight},
			Origins: d.Origins,
		},
		{
			Path: mount(d.Path) + buddyPassword,
			Methods: map[string]func(*web.Call){
				http.MethodPost: d.start, http.MethodPut: d.start, http.MethodPatch: d.finish, http.MethodOptions: d.preflight,
			},
			Origins: d.Origins,
		},
	}
	// The mail is ours unless a caller brings words.
	contract := web.Contract{Endpoints: endpoints, Wording: reset.Wording{Code: buddyCode}}
	if d.RevealAccounts {
		contract.Notes = []web.Note{{Warning: true, Text: revealing}}
	}
	return contract, nil
}

// Fail implements [web.Dialect].
func (d *Buddy) Fail(c *web.Call, f web.Fault) {
	switch f {
	case web.FaultRequest:
		d.refuse(c, buddyFormat, "The request is malformed, or a key comes twice.")
	case web.FaultMedia:
		d.refuse(c, buddyFormat, "The body is neither JSON nor a form in UTF-8 or ISO 8859-1.")
	case web.FaultTooLarge:
		d.refuse(c, buddyFormat, "The body is larger than 64 KiB.")
	case web.FaultForeign:
		d.refuse(c, buddyDenied, "Pages of this origin may not call.")
	case web.FaultUnknown:
		d.refuse(c, buddyOperation, "There is no such operation.")
	case web.FaultMethod:
		c.Header().Set("Allow", c.Allow())
		d.fail(c, http.StatusMethodNotAllowed, buddyOperation, "There is no such operation.")
	default:
		d.fail(c, http.StatusInternalServerError, buddyUnknown, buddyDown)
	}
}

func (d *Buddy) start(c *web.Call) {
	in, ok := d.read(c, buddyUser, "subject", "body")
	if !ok {
		return
	}
	s := web.Start{Login: in[0], Reveal: d.RevealAccounts}
	if d.CallerText {
		s.Words = &reset.Words{Subject: in[1], Text: in[2]}
	}
	found, err := c.Start(s)
	wrong, worded := errors.AsType[*web.WordsError](err)
	switch {
	case worded:
		d.refuse(c, buddyFormat, wrong.Error())
	case errors.Is(err, reset.ErrLogin):
		d.refuse(c, buddyFormat, buddyUser+" is not a user name.")
	case err != nil:
		d.Fail(c, web.FaultUnavailable)
	case found == reset.Nobody:
		d.refuse(c, buddyNobody, "User not found")
	case found == reset.NoAddress:
		d.refuse(c, buddyMissing, "The user has no email address.")
	case found == reset.MailDown:
		d.fail(c, http.StatusInternalServerError, buddyUnknown, "The mail cannot be sent for now. Try again later.")
	default:
		d.succeed(c)
	}
}

func (d *Buddy) finish(c *web.Call) {
	in, ok := d.read(c, buddyUser, "resetCode", "newPassword")
	if !ok {
		return
	}
	// People copy line ends with a code.
	token, err := c.Code(in[0], strings.Trim(in[1], " \t\r\n"))
	var result reset.Result
	if err == nil {
		result, err = c.Change(token, in[2])
	}
	_, weak := errors.AsType[*reset.PasswordError](err)
	switch {
	case weak, err == nil && result.Status == reset.StatusRefused:
		d.refuse(c, buddyFormat, c.Reasons(result, err))
	case errors.Is(err, reset.ErrUnavailable):
		d.Fail(c, web.FaultUnavailable)
	case err != nil, result.Status == reset.StatusGone, result.Status == reset.StatusSuperseded:
		// Too many tries too: who guesses learns nothing.
		d.refuse(c, buddyFormat, buddyDeadCode)
	case result.Status == reset.StatusChanged:
		d.succeed(c)
	case result.Status == reset.StatusPending:
		d.fail(c, http.StatusInternalServerError, buddyUnknown, "The new password was saved and will take effect shortly.")
	default:
		d.Fail(c, web.FaultUnavailable)
	}
}

func (d *Buddy) preflight(c *web.Call) {
	c.AllowPages("POST, PATCH, PUT, OPTIONS", "authorization, content-type, accept")
	d.succeed(c)
}

// read returns what a call to /users/password says under each name, or answers
// and returns false.
func (d *Buddy) read(c *web.Call, names ...string) ([]string, bool) {
	if !d.admit(c) {
		c.Note("refused", "signature")
		d.refuse(c, buddySignature, "The signature in the header Authorization is missing or wrong.")
		return nil, false
	}
	fields, fault := readBuddyFields(c)
	if fault != "" {
		d.Fail(c, fault)
		return nil, false
	}
	return d.need(c, fields, names...)
}

// need returns what stands under each name, or answers and returns false.
func (d *Buddy) need(c *web.Call, fields buddyFields, names ...string) ([]string, bool) {
	var values []string
	for _, name := range names {
		value, there := fields[reset.Fold(name)]
		switch {
		case !there, name == buddyUser && value.text == "" && !value.other:
			d.refuse(c, buddyMissing, name+" is missing.")
			return nil, false
		case value.other:
			d.refuse(c, buddyFormat, name+" is not text.")
			return nil, false
		}
		values = append(values, value.text)
	}
	return values, true
}

func (d *Buddy) succeed(c *web.Call) {
	c.JSON(http.StatusOK, buddyMedia, buddySuccess{Status: http.StatusOK, RequestID: buddyRequest(c), Success: true, Result: true})
}

func (d *Buddy) refuse(c *web.Call, number int, message string) {
	d.fail(c, http.StatusBadRequest, number, message)
}

func (d *Buddy) fail(c *web.Call, status, number int, message string) {
	c.Note("error", buddyErrors[number])
	c.JSON(status, buddyMedia, buddyError{Status: status, Error: buddyErrors[number], Number: number, Message: message, RequestID: buddyRequest(c)})
}

// buddyRequest names a request in its answer and in the log.
func buddyRequest(c *web.Call) string {
	var id [12]byte
	_, _ = rand.Read(id[:]) // never fails
	text := hex.EncodeToString(id[:])
	c.Note("request_id", text)
	return text
}

var _ web.Dialect = (*Buddy)(nil)
