package demo

import (
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
)

// refresh is how often, in seconds, the list of mails is loaded anew.
const refresh = 2

var urls = regexp.MustCompile(`https?://[^\s<>"]+`)

// ServeHTTP shows the mails: a list that loads itself anew, and a page for
// each mail. No script is needed, and none in a mail is run.
func (b *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// A mail is in a frame of the same policy, and mails are styled inline.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	b.pages.ServeHTTP(w, r)
}

func (b *Inbox) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", b.showList)
	mux.HandleFunc("GET /mails/{number}", b.showMail)
	mux.HandleFunc("GET /mails/{number}/raw", b.showRaw)
	mux.HandleFunc("GET "+stylePath, func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "pages/style.css")
	})
	return mux
}

func (b *Inbox) showList(w http.ResponseWriter, _ *http.Request) {
	mails := b.Mails()
	slices.Reverse(mails)
	showPage(w, http.StatusOK, "inbox.html", struct {
		Mails   []Mail
		Refresh int
		Address string
	}{mails, refresh, b.Addr()})
}

func (b *Inbox) showMail(w http.ResponseWriter, r *http.Request) {
	m, ok := b.mail(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	from, err := m.Header.Text("From")
	if err != nil {
		from = m.From
	}
	showPage(w, http.StatusOK, "mail.html", struct {
		Mail
		Sender string
		Frame  string        // the HTML part, with its links opening outside of the frame
		Text   template.HTML // the text part, with links
	}{m, from, `<base target="_blank">` + m.HTML, linked(m.Text)})
}

func (b *Inbox) showRaw(w http.ResponseWriter, r *http.Request) {
	m, ok := b.mail(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(m.Raw)
}

func (b *Inbox) mail(r *http.Request) (Mail, bool) {
	n, err := strconv.Atoi(r.PathValue("number"))
	mails := b.Mails()
	if err != nil || n < 1 || n > len(mails) {
		return Mail{}, false
	}
	return mails[n-1], true
}

// linked returns text as HTML in which web addresses are links. Everything in
// it is escaped: a mail is foreign.
func linked(text string) template.HTML {
	var out []byte
	last := 0
	for _, at := range urls.FindAllStringIndex(text, -1) {
		url := template.HTMLEscapeString(text[at[0]:at[1]])
		out = append(out, template.HTMLEscapeString(text[last:at[0]])...)
		out = append(out, `<a href="`+url+`" target="_blank" rel="noreferrer noopener">`+url+`</a>`...)
		last = at[1]
	}
	out = append(out, template.HTMLEscapeString(text[last:])...)
	return template.HTML(out)
}

var _ http.Handler = (*Inbox)(nil)
