package main

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// A tour shows every kind of page and mail that people see.
type tour struct {
	w    *world
	p    *tab
	page func(name string) // is called with the tab at each page
	mail func(name string) // is called with the tab at each mail, if not nil
}

// walk takes alice through a change with everything that can be refused, lets
// bob say no, and lets carol meet an app that is down.
func (o tour) walk(t *testing.T) {
	t.Helper()
	w, p, surface := o.w, o.p, o.w.Site+demo.ResetPath
	p.open(surface)
	o.page("ask")
	p.ask("alice")
	o.page("sent")
	p.do(chromedp.Click(chromedp.CSS("summary"), chromedp.NodeVisible))
	o.page("sent-help")
	p.write("#code", "0000 0000")
	p.press("button")
	o.page("code-refused")
	link := w.link("alice", 1)
	p.open(link)
	o.page("new")
	p.choose("alice-alice-2026")
	o.page("refused")
	p.choose("legacy " + goodPassword)
	o.page("refused-by-app")
	p.changes(goodPassword)
	o.page("done")
	p.open(link)
	o.page("gone")
	p.open(surface + "/nothing")
	o.page("nothing")

	p.ask("bob")
	cancel, err := w.mail("bob@example.com", 1).CancelLink(surface)
	if err != nil {
		t.Fatal(err)
	}
	p.open(cancel)
	o.page("cancel")
	p.press("button")
	o.page("cancelled")

	p.ask("carol")
	p.open(w.link("carol", 1))
	w.App.SetDown(true)
	p.choose(goodPassword)
	p.wants(demo.ResetPath+"/pending", "Your new password is saved")
	o.page("pending")
	w.App.SetDown(false)

	if o.mail != nil {
		for i, name := range []string{"mail-reset", "mail-changed"} {
			// The address of a test says nothing in a picture.
			p.show(strings.ReplaceAll(w.mail("alice@example.com", i+1).HTML, w.Site, "https://app.example.com"))
			o.mail(name)
		}
	}
}

// show puts the HTML part of a mail into the tab. The document is one of its
// own: about:blank is dark where browsers are, whatever is written into it.
func (p *tab) show(mail string) {
	p.t.Helper()
	p.do(chromedp.Navigate("data:text/html;charset=utf-8;base64," + base64.StdEncoding.EncodeToString([]byte(mail))))
}

func (p *tab) scheme(name string) {
	p.t.Helper()
	p.call(chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		// Colours that fade in would be measured half way.
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	}))
}

// everyPage measures what WCAG 2.2 asks of pages and can be measured, in both
// colour schemes and on the narrowest screen (1.4.10).
func everyPage(t *testing.T, w *world, p *tab) {
	w.start()
	titles := make(map[string]string)
	measure := func(name, script string) {
		for _, scheme := range []string{"light", "dark"} {
			p.scheme(scheme)
			for _, fault := range evaluate[[]string](p, script) {
				t.Errorf("%s, %s: %s", name, scheme, fault)
			}
		}
		p.do(chromedp.EmulateViewport(320, 640, chromedp.EmulateMobile))
		if width := evaluate[float64](p, "document.documentElement.scrollWidth"); width > 320 {
			t.Errorf("%s: %v pixels wide on a screen of 320", name, width)
		}
		p.do(chromedp.EmulateReset())
	}
	tour{
		w: w, p: p,
		page: func(name string) {
			measure(name, colours+structure+finish)
			focus(t, p, name)
			title := evaluate[string](p, "document.title")
			if heading := evaluate[string](p, "document.querySelector('h1').innerText"); title != heading+" – Example" {
				t.Errorf("%s: the title %q does not name the step %q", name, title, heading)
			}
			titles[title] = name
		},
		mail: func(name string) { measure(name, colours+finish) },
	}.walk(t)
	// Those that refuse something have the title of the page they are.
	if len(titles) != 9 {
		t.Errorf("the pages have %d titles: %v", len(titles), titles)
	}

	if status := p.open(w.Site + demo.ForgotPath); status != http.StatusOK || p.path() != demo.ResetPath {
		t.Errorf("the app's old page leads to %s with %d", p.path(), status)
	}
}

// focus goes through a page with the tabulator and wants a ring around
// everything that can be reached (WCAG 2.4.7, 1.4.11).
func focus(t *testing.T, p *tab, name string) {
	t.Helper()
	want := evaluate[int](p, colours+`
		return [...document.querySelectorAll("a[href], button, input:not([type=hidden]):not([tabindex='-1']), summary")].filter(seen).length;})()`)
	reached := make(map[string]bool)
	// Twice: a page with an error begins in its midst, and between the end and
	// the start is the browser's own.
	for range 2*want + 1 {
		p.do(chromedp.KeyEvent("\t"))
		ring := evaluate[struct {
			Name, Style     string
			Width, Contrast float64
		}](p, colours+`
			const e = document.activeElement, style = getComputedStyle(e);
			return {Name: e === document.body ? "" : what(e), Style: style.outlineStyle, Width: parseFloat(style.outlineWidth),
				Contrast: contrast(rgb(style.outlineColor), ground(e.parentElement))};})()`)
		if ring.Name == "" {
			continue
		}
		reached[ring.Name] = true
		if ring.Style == "none" || ring.Width < 2 || ring.Contrast < 3 {
			t.Errorf("%s: the focus is hard to see: %+v", name, ring)
		}
	}
	if len(reached) != want {
		t.Errorf("%s: the tabulator reaches %v, want %d", name, reached, want)
	}
}

// colours measures the contrast of all text (WCAG 1.4.3, without the discount
// for large text) and of the edges of fields (1.4.11).
const colours = `(() => {
	const faults = [];
	const rgb = c => { const n = c.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
	const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3])).concat(1);
	const dark = matchMedia("(prefers-color-scheme: dark)").matches;
	const ground = e => {
		if (!e) return dark ? [18, 18, 18, 1] : [255, 255, 255, 1];
		const own = rgb(getComputedStyle(e).backgroundColor);
		return own[3] === 1 ? own : over(own, ground(e.parentElement));
	};
	const light = c => {
		const [r, g, b] = c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const contrast = (a, b) => {
		const [x, y] = [light(over(a, b)), light(b)].sort((p, q) => q - p);
		return (x + .05) / (y + .05);
	};
	const seen = e => e.checkVisibility({visibilityProperty: true}) && !e.closest("[aria-hidden=true]");
	const what = e => e.tagName.toLowerCase() + (e.id && "#" + e.id) + " " + (e.innerText || "").slice(0, 30);
	const all = [...document.body.querySelectorAll("*")].filter(seen);
	const texts = all.filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
	for (const e of [...texts, ...all.filter(e => e.matches("input, svg"))]) {
		const c = contrast(rgb(getComputedStyle(e).color), ground(e));
		if (c < 4.5) faults.push("contrast " + c.toFixed(2) + " of " + what(e));
	}
	for (const e of all.filter(e => e.matches("input[type=text], input[type=password]"))) {
		const c = contrast(rgb(getComputedStyle(e).borderTopColor), ground(e.parentElement));
		if (c < 3) faults.push("contrast " + c.toFixed(2) + " of the edge of " + what(e));
	}
	if (!texts.length) faults.push("no text");
`

// structure looks at labels, references, the language, and the size of what is
// pressed (WCAG 1.3.1, 3.1.1, 2.5.8).
const structure = `
	if (document.documentElement.lang !== "en") faults.push("lang is " + document.documentElement.lang);
	if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
	if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
	for (const e of all.filter(e => e.matches("input"))) {
		if (![...e.labels].some(l => seen(l) && l.innerText.trim())) faults.push("no label for " + what(e));
		if (!e.matches("[type=checkbox]") && !e.autocomplete) faults.push("no autocomplete for " + what(e));
	}
	for (const e of document.querySelectorAll("[aria-describedby], [for]"))
		for (const id of (e.getAttribute("aria-describedby") || e.htmlFor).split(" "))
			if (!document.getElementById(id)) faults.push(what(e) + " refers to the missing " + id);
	const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
	if (new Set(ids).size !== ids.length) faults.push("an id is there twice");
	if (document.querySelector("[aria-invalid=true]") && !document.querySelector("[role=alert]")) faults.push("an error is not announced");
	for (const e of all.filter(e => e.matches("a[href], button, input, summary"))) {
		const box = (e.matches("[type=checkbox]") ? e.labels[0] : e).getBoundingClientRect();
		if (box.width < 24 || box.height < 24) faults.push(what(e) + " is " + box.width + " by " + box.height);
	}
`

const finish = "return faults; })()"
