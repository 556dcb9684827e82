package locales

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		name, accept, fallback, want string
	}{
		{"nothing", "", "", "en"},
		{"exact", "en", "", "en"},
		{"region", "en-GB,en;q=0.8", "", "en"},
		{"underscore", "en_US", "", "en"},
		{"unknown language", "tlh", "en", "en"},
		{"wildcard", "*", "en", "en"},
		{"malformed", "../../etc/passwd", "en", "en"},
		{"unknown fallback", "tlh", "xx-nope", "en"},
		{"endless", strings.Repeat("en-a-b-c-", 5000), "en", "en"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Match(tt.accept, tt.fallback).Tag(); got != tt.want {
				t.Errorf("Match(%q, %q) = %s, want %s", tt.accept, tt.fallback, got, tt.want)
			}
		})
	}
}

// TestLongList holds that parsing is bounded before it begins.
func TestLongList(t *testing.T) {
	if c := negotiate(strings.Repeat("en,", 100) + "en"); c != nil {
		t.Error("parsed a header of 302 characters")
	}
}

func TestLookup(t *testing.T) {
	for _, tag := range []string{"en", "en-US", "EN"} {
		if c, err := Lookup(tag); err != nil || c.Tag() != "en" {
			t.Errorf("Lookup(%q) = %v, %v", tag, c, err)
		}
	}
	for _, tag := range []string{"", "tlh", "english", "en,de", "*", "en;q=1"} {
		_, err := Lookup(tag)
		if err == nil || !strings.Contains(err.Error(), "there are: en") {
			t.Errorf("Lookup(%q): error %v, want one that names the locales", tag, err)
		}
	}
}

func TestText(t *testing.T) {
	c := &Catalog{texts: map[string]string{"a": "{x} and {y} and {x}"}}
	if got, want := c.Text("a", "x", "{y}", "y", 2), "{y} and 2 and {y}"; got != want {
		t.Errorf("Text = %q, want %q: a value was read as text", got, want)
	}
	for name, f := range map[string]func(){
		"missing key": func() { c.Text("b") },
		//lint:ignore SA5012 the odd number is the fault that is to panic
		"odd values": func() { c.Text("a", "x") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestDuration(t *testing.T) {
	english, _ := Lookup("en")
	for d, want := range map[time.Duration]string{
		-time.Second:                    "0 seconds",
		999 * time.Millisecond:          "0 seconds",
		time.Second:                     "1 second",
		time.Minute:                     "1 minute",
		90 * time.Second:                "1 minute 30 seconds",
		30 * time.Minute:                "30 minutes",
		30*time.Minute + 1:              "30 minutes",
		time.Hour:                       "1 hour",
		time.Hour + 5*time.Second:       "1 hour",
		90 * time.Minute:                "1 hour 30 minutes",
		24 * time.Hour:                  "24 hours",
		48 * time.Hour:                  "2 days",
		73*time.Hour + 4*time.Minute:    "3 days 1 hour",
		47*time.Hour + 59*time.Minute:   "47 hours 59 minutes",
		10000*time.Hour + time.Minute*1: "416 days 16 hours",
	} {
		if got := english.Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

// TestNewLanguage shows that a language is a folder and nothing else.
func TestNewLanguage(t *testing.T) {
	list := load(fstest.MapFS{
		"en/a.json": {Data: []byte(`{"a":"hello","b":"bye","duration.minute.one":"{n} minute","duration.minute.other":"{n} minutes"}`)},
		"pl/a.json": {Data: []byte(`{"a":"halo","duration.minute.few":"{n} minuty","duration.minute.other":"{n} minut"}`)},
		"ar/a.json": {Data: []byte(`{"duration.minute.two":"دقيقتان","duration.minute.other":"{n} دقيقة"}`)},
	})
	if len(list) != 3 || list[0].Tag() != "en" || list[1].Tag() != "ar" || list[2].Tag() != "pl" {
		t.Fatalf("loaded %v", list)
	}
	arabic, polish := list[1], list[2]
	if got := polish.Text("a") + polish.Text("b"); got != "halobye" {
		t.Errorf("Polish completed by English: %q", got)
	}
	if arabic.Dir() != "rtl" || polish.Dir() != "ltr" {
		t.Errorf("directions %s, %s", arabic.Dir(), polish.Dir())
	}
	for d, want := range map[time.Duration]string{
		1 * time.Minute:  "1 minut", // its own form, not the English singular
		3 * time.Minute:  "3 minuty",
		5 * time.Minute:  "5 minut",
		22 * time.Minute: "22 minuty",
	} {
		if got := polish.Duration(d); got != want {
			t.Errorf("Polish %v = %q, want %q", d, got, want)
		}
	}
	if got := arabic.Duration(2 * time.Minute); got != "دقيقتان" {
		t.Errorf("Arabic dual = %q", got)
	}
}

func TestLoadPanics(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"no English":   {"de/a.json": {Data: []byte(`{}`)}},
		"not JSON":     {"en/a.json": {Data: []byte(`{`)}},
		"not text":     {"en/a.json": {Data: []byte(`{"a":1}`)}},
		"not a tag":    {"en/a.json": {Data: []byte(`{}`)}, "not a tag/a.json": {Data: []byte(`{}`)}},
		"repeated key": {"en/a.json": {Data: []byte(`{"a":"1"}`)}, "en/b.json": {Data: []byte(`{"a":"2"}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			load(fsys)
		})
	}
}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// TestCatalogues compares every catalogue with English: no key that English
// does not know, the same placeholders, no empty text, one line each.
func TestCatalogues(t *testing.T) {
	english := catalogs[0]
	for _, c := range catalogs {
		for key, text := range c.texts {
			if strings.TrimSpace(text) != text || text == "" || strings.ContainsAny(text, "\r\n\x00") {
				t.Errorf("%s: %s: empty, padded or of several lines", c.Tag(), key)
			}
			if strings.HasPrefix(key, "duration.") {
				continue // forms differ, and some leave the number out
			}
			if !english.Has(key) {
				t.Errorf("%s: %s: English has no such key", c.Tag(), key)
				continue
			}
			got, want := placeholder.FindAllString(text, -1), placeholder.FindAllString(english.texts[key], -1)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(slices.Compact(got), slices.Compact(want)) {
				t.Errorf("%s: %s: placeholders %v, English has %v", c.Tag(), key, got, want)
			}
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	for b.Loop() {
		Match("de-DE,de;q=0.9,en-GB;q=0.8,en;q=0.7", "en")
	}
}

// FuzzMatch holds that whatever a browser or a directory calls a language leads
// to one that there is, and what is none to the fallback.
func FuzzMatch(f *testing.F) {
	for _, s := range []string{"", "en", "de-AT,de;q=0.9,en;q=0.5", "de_DE", "*", "en;q=0", "../../etc/passwd", "x-klingon", "i-default", "zh-Hant-TW;q=1.000", "en-\x00", "tlh;q=NaN", strings.Repeat("a-", 128), "en;q=1e9"} {
		f.Add(s, "en")
		f.Add("", s)
	}
	tags := Tags()
	f.Fuzz(func(t *testing.T, accept, fallback string) {
		c := Match(accept, fallback)
		if c == nil || !slices.Contains(tags, c.Tag()) || c.Dir() != "ltr" && c.Dir() != "rtl" {
			t.Fatalf("Match(%q, %q) = %v", accept, fallback, c)
		}
		if len(accept) > maxAccept && c != Match("", fallback) {
			t.Errorf("%d bytes are looked at", len(accept))
		}
		if found, err := Lookup(accept); err == nil && !slices.Contains(tags, found.Tag()) {
			t.Errorf("Lookup(%q) = %s", accept, found.Tag())
		}
	})
}

// FuzzText holds that a value is put in once and never read as a text: who is
// called {link} stays so.
func FuzzText(f *testing.F) {
	f.Add("{link}", "https://app.test")
	f.Add("{", "}")
	f.Add("{a}{b}", "{a}")
	c := &Catalog{texts: map[string]string{"key": "<{a}|{b}|{c}>{"}}
	f.Fuzz(func(t *testing.T, a, b string) {
		if got, want := c.Text("key", "a", a, "b", b), "<"+a+"|"+b+"|{c}>{"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
