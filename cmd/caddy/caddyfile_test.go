package main

import (
	"os"
	"strings"
)

// caddyfile returns the configuration that the program runs with.
func (w *world) caddyfile() string {
	w.t.Helper()
	b, err := os.ReadFile(w.Caddyfile)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// amend gives the world a configuration of its own, changed by pairs of what
// stands there once and what is to stand there instead.
func (w *world) amend(pairs ...string) {
	w.t.Helper()
	content := w.caddyfile()
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(content, pairs[i]) != 1 {
			w.t.Fatalf("the Caddyfile does not have one %q", pairs[i])
		}
		content = strings.Replace(content, pairs[i], pairs[i+1], 1)
	}
	w.Caddyfile = w.write("Caddyfile", []byte(content))
}

// siteOption is a line of the example after which a site may have more options.
const siteOption = "\t\tlogin_url /login\n"

// unlimited turns the limits of the site off.
func (w *world) unlimited() {
	w.t.Helper()
	w.amend(siteOption, siteOption+"\t\tlimits {\n\t\t\tper_account off\n\t\t\tper_ip off\n\t\t}\n")
}

// mailsWithoutLimit lets an account have as many mails as it is asked for, so
// that a guesser has as many codes to guess at.
func (w *world) mailsWithoutLimit() {
	w.t.Helper()
	w.amend(siteOption, siteOption+"\t\tlimits {\n\t\t\tper_account off\n\t\t}\n")
}

// secondSite adds a site for the same app, with the options of the first and
// more, and returns the world as its visitors see it.
func (w *world) secondSite(more string) *world {
	w.t.Helper()
	other := *w
	other.Site = "http://" + freeAddress(w.t)
	content := w.caddyfile()
	const begin = "{$RESET_SITE:app.example.com} {"
	_, site, found := strings.Cut(content, begin)
	if !found {
		w.t.Fatal("the example has no site")
	}
	site = strings.Replace(site, "base_url {$RESET_BASE_URL:https://app.example.com}", "base_url "+other.Site+"\n"+more, 1)
	w.Caddyfile = w.write("Caddyfile", []byte(content+"\n"+other.Site+" {"+site))
	return &other
}
