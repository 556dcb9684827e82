package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/locales"
	"github.com/caddy-password-reset/caddy-password-reset/passwords"
)

// An exchange is one request and its answer. An answer is complete before its
// first byte leaves, so that a fault on the way to it can still become one.
type exchange struct {
	*Handler
	w     http.ResponseWriter
	r     *http.Request
	route Route
	told  *Answer
	ip    netip.Addr
	words *locales.Catalog
	json  bool          // the client is a program
	wait  time.Duration // what a person is told about trying again
	sent  bool          // the answer has begun
}

// An action answers one method of one route.
type action func(x *exchange, site Site, f fields)

// actions are the routes that have pages or data. Those marked apart do not
// need the domain and answer while it is not available.
var actions = map[kind]struct {
	get, post action
	apart     bool
}{
	kindAsk:            {get: (*exchange).ask, post: (*exchange).request},
	kindSent:           {get: (*exchange).mailSent},
	kindCode:           {post: (*exchange).enterCode},
	kindLink:           {get: (*exchange).follow},
	kindNew:            {post: (*exchange).change},
	kindDone:           {get: (*exchange).done, apart: true},
	kindPending:        {get: (*exchange).pending, apart: true},
	kindCancel:         {get: (*exchange).askCancel, post: (*exchange).cancel},
	kindPolicy:         {get: (*exchange).policy},
	kindChangePassword: {get: (*exchange).toChange, apart: true},
}

// ServeHTTP answers a request with the route that [Handler.Route] found for
// it. ClientIP is the address that limits count, zero if it is not known. It
// always answers and never panics.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, route Route, clientIP netip.Addr) {
	x := &exchange{Handler: h, w: w, r: r, route: route, told: route.told, ip: clientIP}
	if x.told == nil {
		x.told = new(Answer)
	}
	x.words = locales.Match(r.Header.Get("Accept-Language"), h.locale)
	x.json = isJSON(r.Header) || acceptsJSON(r.Header) || route.kind == kindPolicy
	defer x.rescue()
	x.header()
	guard(w, r)
	switch {
	case route.heard != nil:
		x.answer(route.heard)
	case route.kind == kindTakeOver:
		x.withSite((*exchange).toForm, nil)
	default:
		x.dispatch()
	}
}

func (x *exchange) dispatch() {
	a := actions[x.route.kind]
	var do action
	switch x.r.Method {
	case http.MethodGet, http.MethodHead:
		do = a.get
	case http.MethodPost:
		do = a.post
	}
	if do == nil {
		var allow []string
		if a.get != nil {
			allow = append(allow, http.MethodGet, http.MethodHead)
		}
		if a.post != nil {
			allow = append(allow, http.MethodPost)
		}
		if allow == nil {
			x.fail(FaultUnknown)
			return
		}
		x.w.Header().Set("Allow", strings.Join(allow, ", "))
		x.fail(FaultMethod)
		return
	}
	var f fields
	if x.r.Method == http.MethodPost {
		// Before a byte of the body is read.
		if x.foreign.Check(x.r) != nil {
			x.fail(FaultForeign)
			return
		}
		var fault Fault
		if f, fault = read(x.w, x.r); fault != "" {
			x.fail(fault)
			return
		}
	}
	if a.apart {
		do(x, nil, f)
		return
	}
	x.withSite(do, f)
}

// withSite opens the domain for as long as do runs.
func (x *exchange) withSite(do action, f fields) {
	site, release, err := x.open(x.r.Context())
	if err != nil {
		x.unavailable("password reset does not open; answering 503", err)
		return
	}
	defer release()
	do(x, site, f)
}

// header sets what every answer has.
func (x *exchange) header() {
	h := x.w.Header()
	h.Set("Content-Security-Policy", x.pages.policy)
	h.Set("Cache-Control", "no-store")
	// With no-referrer browsers send "Origin: null" with a form; this keeps
	// the origin and never sends a path.
	h.Set("Referrer-Policy", "strict-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex, nofollow")
}

// fail answers with a fault, as a page or a problem document.
func (x *exchange) fail(f Fault) { x.refuse(f, "", nil) }

// refuse answers with a fault; programs get detail, if there is one, in place
// of its fixed text, and the reasons.
func (x *exchange) refuse(f Fault, detail string, reasons []passwords.Reason) {
	x.told.Outcome = outcomeOf(f)
	known := faults[f]
	if x.json {
		p := problem{Type: problemType + string(f), Title: known.title, Status: known.status, Detail: known.detail, Reasons: reasons}
		if detail != "" {
			p.Detail = detail
		}
		x.data(known.status, "application/problem+json", p)
		return
	}
	if f == faultLink {
		x.page(known.status, "link.html", Page{})
		return
	}
	x.page(known.status, "error.html", Page{Fault: string(f)})
}

// failWith answers with the fault behind an error of the domain.
func (x *exchange) failWith(err error) {
	f, retry, known := faultOf(err)
	if !known {
		x.unavailable("request not answered as asked; answering 503", err)
		return
	}
	if retry > 0 {
		x.retryAfter(retry)
	}
	x.fail(f)
}

// unavailable answers 503 for a fault of ours and logs it, unless the visitor
// has simply gone.
func (x *exchange) unavailable(message string, err error) {
	x.logFault(message, err)
	x.retryAfter(retryUnavailable)
	x.fail(FaultUnavailable)
}

func (x *exchange) logFault(message string, err error) {
	if x.r.Context().Err() == nil && x.faults.due() {
		x.log.Error(message, "error", err)
	}
}

func (x *exchange) retryAfter(d time.Duration) {
	seconds := (d + time.Second - 1) / time.Second
	x.wait = seconds * time.Second
	x.w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
}

// page answers with a page, in the language of the browser.
func (x *exchange) page(status int, name string, p Page) {
	x.complete(&p, x.words)
	if x.wait > 0 {
		p.Wait = x.words.Duration(x.wait)
	}
	policy := x.pages.policy
	if p.Scrub != "" || name == "new.html" {
		p.Script = x.pages.script
		policy = x.pages.scriptPolicy
	}
	var b bytes.Buffer
	if err := x.pages.byName[name].ExecuteTemplate(&b, "layout", &p); err != nil {
		panic(fmt.Sprintf("web: page %s: %T", name, err))
	}
	h := x.w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Language", p.Locale)
	x.send(status, "text/html; charset=utf-8", []byte(x.pages.inert.Replace(b.String())))
}

// data answers with a JSON document.
func (x *exchange) data(status int, media string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("web: answer: %T", err))
	}
	x.send(status, media+"; charset=utf-8", append(b, '\n'))
}

// redirect sends a person on. Target comes from the configuration.
func (x *exchange) redirect(status int, target string) {
	x.w.Header().Set("Location", target)
	x.send(status, "text/plain; charset=utf-8", nil)
}

func (x *exchange) send(status int, media string, body []byte) {
	x.sent = true
	if x.told.Outcome == "" {
		x.told.Outcome = outcomeOfStatus(status)
	}
	h := x.w.Header()
	if media != "" {
		h.Set("Content-Type", media)
	}
	// RFC 9110 section 8.6 forbids it there, and HTTP/2 would send it.
	if status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // the visitor has gone
	}
}

// rescue turns a panic into a fixed answer, for a person one in plain text: the
// fault may be in a page.
func (x *exchange) rescue() {
	v := recover()
	if v == nil {
		return
	}
	x.logPanic(v)
	if x.sent {
		return
	}
	x.header()
	if x.json {
		x.fail(FaultInternal)
		return
	}
	x.told.Outcome = OutcomeUnavailable
	known := faults[FaultInternal]
	x.send(known.status, "text/plain; charset=utf-8", []byte(known.detail+"\n"))
}

// logPanic logs no value of a panic, which may hold what a person typed; its
// type and the stack do not.
func (x *exchange) logPanic(v any) {
	x.log.Error("panic while answering a request", "error", fmt.Sprintf("%T", v), "stack", string(debug.Stack()), "alarm", true)
}

// acceptsJSON tells a program that asks for JSON and would not know what to do
// with a page.
func acceptsJSON(h http.Header) bool {
	accept := strings.Join(h.Values("Accept"), ",")
	return strings.Contains(accept, "json") && !strings.Contains(accept, "text/html")
}
