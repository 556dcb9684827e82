package webhookout

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The steps of a [Client.Ping].
const (
	StepReach     = "reach"     // an answer came
	StepClock     = "clock"     // the app's clock is ours; left out where the app tells no time
	StepHook      = "hook"      // it is a hook that answered, and takes our signature
	StepSignature = "signature" // the signature of somebody else is refused; left out where no hook answered
)

// drift is how far two clocks may be apart before it is worth a word. At
// [tolerance] every message is refused.
const drift = time.Minute

// A Finding is what [Client.Ping] saw of one step. It is fine if there is no
// Problem. A Problem without Broken is advice, or something that could not be
// told.
type Finding struct {
	Step    string // one of the Step constants
	Seen    string // what there is to know of it, "" if nothing
	Problem string // what is wrong
	Cure    string // what to change
	Broken  bool   // people cannot reset their password, or are in danger, until that is done
}

// Ping tries the hook with messages of the type ping, which change nothing:
//
//	{"type":"ping","timestamp":"2026-01-02T03:04:05Z",
//	 "data":{"site":"app.example.com"}}
//
// The first is signed like any other, and the app answers it as if it were
// applied. The second is signed with a secret that nobody has, and the app has
// to refuse it: one that does not lets anybody who reaches the hook set
// passwords. An app that knows no ping is not called broken; what it answers to
// the two still tells something. A finding quotes nothing that the app says.
func (c *Client) Ping(ctx context.Context, site string) []Finding {
	ours := c.ping(ctx, site, c.secrets)
	if ours.Status == 0 {
		problem, cure := c.diagnose(ours.Err)
		return []Finding{{Step: StepReach, Problem: problem, Cure: cure, Broken: true}}
	}
	found := []Finding{{Step: StepReach, Seen: fmt.Sprintf("answer %d", ours.Status)}}
	if !ours.Date.IsZero() {
		found = append(found, clock(time.Since(ours.Date), ours.Status == http.StatusUnauthorized))
	}
	if f := noHook(ours); f.Broken {
		return append(found, f)
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	strange := c.ping(ctx, site, []Secret{{key: key[:]}})
	hook := c.taken(ours, strange)
	found = append(found, hook)
	if hook.Broken && !strange.OK() {
		return found // there is no saying who refused the second
	}
	return append(found, refused(ours, strange))
}

func (c *Client) ping(ctx context.Context, site string, secrets []Secret) Answer {
	var m struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      struct {
			Site string `json:"site"`
		} `json:"data"`
	}
	m.Type, m.Timestamp, m.Data.Site = "ping", time.Now().UTC().Truncate(time.Second), site
	body, err := json.Marshal(m)
	if err != nil {
		return Answer{Err: fmt.Errorf("encoding ping: %w", err)}
	}
	return c.post(ctx, Message{ID: "ping_" + rand.Text(), Body: body}, secrets)
}

// clock judges by how much the app's clock is behind ours.
func clock(behind time.Duration, unauthorized bool) Finding {
	apart, way := behind.Abs().Round(time.Second), "behind"
	if behind < 0 {
		way = "ahead of"
	}
	f := Finding{Step: StepClock}
	if apart <= drift {
		f.Seen = "as ours"
		return f
	}
	f.Problem = fmt.Sprintf("the app's clock is %s %s ours", apart, way)
	f.Cure = "have both machines keep time (NTP)"
	if apart > tolerance {
		f.Problem += ", and from 5 minutes on it refuses every message"
		f.Broken = unauthorized // or it is the clock of a proxy
	}
	return f
}

// noHook judges what a hook never answers.
func noHook(ours Answer) Finding {
	f := Finding{Step: StepHook, Broken: true}
	switch {
	case ours.Status < 200:
		f.Problem = fmt.Sprintf("answer %d is none to a webhook", ours.Status)
		f.Cure = "correct the URL: what answers there is no hook"
	case ours.Status < 300 && !ours.OK():
		f.Problem = fmt.Sprintf("what answers with %d and a page is not the hook, but something that answers everything", ours.Status)
		f.Cure = "correct the path of the URL, or put the hook's route above the app's catch-all; a hook answers 204, or 200 with JSON"
	case ours.Status >= 300 && ours.Status < 400:
		f.Problem = fmt.Sprintf("the app redirects (answer %d), and redirects are not followed", ours.Status)
		f.Cure = "write the URL that it leads to; often it is https:// instead of http://, another host, a slash at the end, or a login page that the hook has to be exempt from"
	default:
		f.Broken = false
	}
	return f
}

// taken judges what came of our signature, also by what came of a strange one.
func (c *Client) taken(ours, strange Answer) Finding {
	f := Finding{Step: StepHook, Broken: true}
	// Refusing a strange signature in another way than ours: it has looked.
	checks := strange.Status >= 400 && strange.Status < 500 && !passing(strange.Status) && strange.Status != ours.Status
	switch status := ours.Status; {
	case ours.OK():
		f.Broken, f.Seen = false, "takes our signature"
	case status == http.StatusUnauthorized:
		f.Problem = "the app refuses our signature (answer 401)"
		f.Cure = "give Caddy and the app the same secret: `webhook_secret` here, all of it from whsec_ on there; and see that the app computes the signature over the raw body"
	case status == http.StatusForbidden:
		f.Problem = "the app, or something before it, forbids our message (answer 403)"
		f.Cure = "exempt the hook from the app's protection against cross-site requests and from its login, and see that both have the same secret"
	case passing(status):
		f.Problem = fmt.Sprintf("the app turns messages away for now (answer %d)", status)
		f.Cure = "try again later; exempt the hook from a limit of requests"
	case checks && (status < 500 || status == http.StatusInternalServerError || status == http.StatusNotImplemented):
		f.Broken, f.Seen = false, "takes our signature"
		f.Problem = fmt.Sprintf("the app knows no ping (answer %d); whether it would take a real message cannot be told", status)
		f.Cure = "have the hook answer a signed ping with 204, as docs/receivers.md says; nothing but this check needs it"
	case status >= 500:
		f.Problem = fmt.Sprintf("the app fails (answer %d)", status)
		f.Cure = "see the app's log, or that of a proxy before it"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		f.Problem = fmt.Sprintf("there is no hook at this URL (answer %d)", status)
		f.Cure = "correct host and path of the URL, and see that the app routes POST there"
	default:
		f.Broken = false
		f.Problem = fmt.Sprintf("the app answers %d to our signature, and does not answer a strange one otherwise: it may know no ping, or not take our signature; which of the two cannot be told", status)
		f.Cure = "have the hook answer a wrong signature with 401, and a signed ping with 204, as docs/receivers.md says"
		if status == http.StatusBadRequest && c.endpoint.url.Scheme == "http" && c.endpoint.socket == "" {
			f.Cure += "; if the port speaks TLS, write https://"
		}
	}
	return f
}

// refused judges what came of a strange signature.
func refused(ours, strange Answer) Finding {
	f := Finding{Step: StepSignature, Cure: "have the hook answer a wrong signature with 401, before it does anything else"}
	switch status := strange.Status; {
	case strange.OK():
		f.Broken = true
		f.Problem = fmt.Sprintf("the app takes a message that somebody else has signed (answer %d): whoever reaches the hook can set any password", status)
		f.Cure = "have the hook check webhook-signature before it does anything else, as docs/receivers.md says, and keep it off the public site"
	case passing(status):
		f.Problem = fmt.Sprintf("whether the app refuses a strange signature could not be told (answer %d)", status)
		f.Cure = "try again later"
	case status >= 400 && status < 500 && (ours.OK() || status != ours.Status):
		f.Seen, f.Cure = fmt.Sprintf("a strange one is refused with %d", status), ""
	case status == 0:
		f.Problem = "whether the app refuses a strange signature could not be told (no answer)"
		f.Cure = "try again later"
	default:
		f.Problem = fmt.Sprintf("whether the app refuses a strange signature could not be told (answer %d)", status)
	}
	return f
}
