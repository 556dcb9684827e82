package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// maxPage bounds a page that is read.
const maxPage = 1 << 20

// browser is one without scripts: it keeps cookies, follows redirects and
// fills in forms.
type browser struct {
	client http.Client
	page   page
}

// newBrowser returns a browser that connects like client and shares no cookie
// with anybody.
func newBrowser(client *http.Client) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("making cookie jar: %w", err)
	}
	b := &browser{}
	if client != nil {
		b.client = *client
	}
	b.client.Jar = jar
	return b, nil
}

// open loads a page.
func (b *browser) open(ctx context.Context, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("opening page: %w", err)
	}
	return b.load(r)
}

// submit sends a form of the current page, with values typed into fields that
// it must have.
func (b *browser) submit(ctx context.Context, f form, values map[string]string) error {
	sent := url.Values{}
	for _, field := range f.fields {
		value, typed := values[field.name]
		if !typed {
			value = field.value
		}
		sent.Add(field.name, value)
	}
	for name := range values {
		if !sent.Has(name) {
			return fmt.Errorf("the form has no field %q", name)
		}
	}
	if f.method == http.MethodGet {
		target := *f.action
		target.RawQuery = sent.Encode()
		return b.open(ctx, target.String())
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.action.String(), strings.NewReader(sent.Encode()))
	if err != nil {
		return fmt.Errorf("sending form: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// What browsers add, and what a check against cross-site forms looks at.
	r.Header.Set("Origin", b.page.url.Scheme+"://"+b.page.url.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	return b.load(r)
}

func (b *browser) load(r *http.Request) error {
	r.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	r.Header.Set("Accept-Language", "en")
	resp, err := b.client.Do(r)
	if err != nil {
		return fmt.Errorf("loading page: %w", withoutURL(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return fmt.Errorf("reading page: %w", err)
	}
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("parsing page: %w", err)
	}
	b.page = page{url: resp.Request.URL, status: resp.StatusCode, doc: doc}
	return nil
}

// withoutURL drops the address from an error of net/http: it may hold a token.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// page is what a browser shows.
type page struct {
	url    *url.URL
	status int
	doc    *html.Node
}

// form is one that a person could send.
type form struct {
	action *url.URL
	method string
	fields []field
}

type field struct{ name, kind, value string }

// field returns a field by its name.
func (f form) field(name string) (field, bool) {
	i := slices.IndexFunc(f.fields, func(x field) bool { return x.name == name })
	if i < 0 {
		return field{}, false
	}
	return f.fields[i], true
}

// form returns the first form of the page whose action has this path, or one
// that begins with it if it ends in a slash.
func (p page) form(path string) (form, error) {
	for n := range p.doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" {
			continue
		}
		action, err := p.url.Parse(attribute(n, "action"))
		if err != nil {
			continue
		}
		if action.Path == path || strings.HasSuffix(path, "/") && strings.HasPrefix(action.Path, path) || action.Path == path+"/" {
			return readForm(n, action), nil
		}
	}
	return form{}, fmt.Errorf("no form for %s on the page (status %d, title %q)", path, p.status, p.title())
}

// link returns where the first link of the page with this path leads.
func (p page) link(path string) (string, error) {
	for n := range p.doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "a" {
			continue
		}
		if target, err := p.url.Parse(attribute(n, "href")); err == nil && strings.TrimSuffix(target.Path, "/") == path {
			return target.String(), nil
		}
	}
	return "", fmt.Errorf("no link to %s on the page (status %d, title %q)", path, p.status, p.title())
}

// title returns what the tab of the browser shows.
func (p page) title() string {
	for n := range p.doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "title" {
			return text(n)
		}
	}
	return ""
}

// text returns what can be read on the page, on one line.
func (p page) text() string { return text(p.doc) }

func text(n *html.Node) string {
	var words []string
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "script" && d.Parent.Data != "style" {
			words = append(words, strings.Fields(d.Data)...)
		}
	}
	return strings.Join(words, " ")
}

func readForm(n *html.Node, action *url.URL) form {
	f := form{action: action, method: http.MethodGet}
	if fold(attribute(n, "method")) == "post" {
		f.method = http.MethodPost
	}
	for d := range n.Descendants() {
		if d.Type != html.ElementNode || attribute(d, "name") == "" || has(d, "disabled") {
			continue
		}
		x := field{name: attribute(d, "name"), kind: attribute(d, "type"), value: attribute(d, "value")}
		switch {
		case d.Data == "textarea":
			x.value = text(d)
		case d.Data != "input" || x.kind == "submit" || x.kind == "button" || x.kind == "image" || x.kind == "reset":
			continue
		case (x.kind == "checkbox" || x.kind == "radio") && !has(d, "checked"):
			continue
		}
		f.fields = append(f.fields, x)
	}
	return f
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}
