// Package locales holds the texts that people read, on pages and in letters,
// and chooses the language.
//
// A language is a folder named by its BCP 47 tag with JSON files of flat keys,
// {"key": "text with {placeholders}"}. To add one, add the folder: nothing in
// code changes. A key that a language lacks is shown in English, so a partial
// translation is safe; a key that English lacks is a programming error, and
// [Catalog.Text] panics.
//
// Texts are plain text. Whoever puts one into HTML or a header escapes it
// there. Values are put in once and never read as text again, so that a name
// of "{link}" stays what it is.
//
// Catalogues are read-only after the start of the program and safe for
// concurrent use.
package locales

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// maxAccept is how much of an Accept-Language header is looked at. Parsing is
// work that anybody can ask for (CVE-2022-32149); browsers send less than this.
const maxAccept = 256

//go:embed */*.json
var files embed.FS

// The catalogues in the order that the matcher knows them by, English first.
var (
	catalogs = load(files)
	matcher  = newMatcher(catalogs)
)

// A Catalog holds the texts of one language.
type Catalog struct {
	tag   language.Tag
	texts map[string]string
}

// Match returns the catalogue that fits a list of languages best. Accept is an
// Accept-Language header (RFC 9110 section 12.5.4), or a single tag such as an
// account's locale; "de_DE" is understood as well. If nothing fits, or accept
// is empty or malformed, it is the catalogue of fallback, and English if there
// is none either. It never returns nil.
func Match(accept, fallback string) *Catalog {
	if c := negotiate(accept); c != nil {
		return c
	}
	if c := find(fallback); c != nil {
		return c
	}
	return catalogs[0]
}

// Lookup returns the catalogue for one tag, as written in a configuration. A
// regional tag finds its language. The error of an unknown tag names those
// that there are.
func Lookup(tag string) (*Catalog, error) {
	if c := find(tag); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no texts for locale %q; there are: %s", tag, strings.Join(Tags(), ", "))
}

// Tags returns the tags of all catalogues, English first.
func Tags() []string {
	tags := make([]string, len(catalogs))
	for i, c := range catalogs {
		tags[i] = c.Tag()
	}
	return tags
}

// Tag returns the BCP 47 tag, for the lang attribute and Content-Language.
func (c *Catalog) Tag() string { return c.tag.String() }

// Dir returns the direction of the script, "ltr" or "rtl".
func (c *Catalog) Dir() string {
	script, _ := c.tag.Script()
	switch script.String() {
	case "Adlm", "Arab", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa":
		return "rtl"
	}
	return "ltr"
}

// Text returns the text of key with its placeholders filled: kv holds names
// and values by turns, Text("page.hello", "name", n) fills {name}. A
// placeholder without a value stays as it is. It panics if English lacks the
// key or kv is not made of pairs.
func (c *Catalog) Text(key string, kv ...any) string {
	text, ok := c.texts[key]
	if !ok {
		panic("locales: no text for " + key)
	}
	if len(kv)%2 != 0 {
		panic("locales: odd list of values for " + key)
	}
	// One pass over the text: what a value brings is never read as text.
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(text, "{")
		name, after, closed := strings.Cut(rest, "}")
		if !open || !closed {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before)
		if value, ok := valueOf(name, kv); ok {
			b.WriteString(value)
		} else {
			b.WriteString("{" + name + "}")
		}
		text = after
	}
}

func valueOf(name string, kv []any) (string, bool) {
	for i := 0; i < len(kv); i += 2 {
		if kv[i] == name {
			return fmt.Sprint(kv[i+1]), true
		}
	}
	return "", false
}

// Has reports whether there is a text for key.
func (c *Catalog) Has(key string) bool {
	_, ok := c.texts[key]
	return ok
}

// Duration returns d in words, "30 minutes", in its two largest units; what is
// smaller is dropped, so that a life is never promised longer than it is. Days
// begin at 48 hours.
func (c *Catalog) Duration(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{
		{"day", 24 * time.Hour},
		{"hour", time.Hour},
		{"minute", time.Minute},
		{"second", time.Second},
	}
	if d < 48*time.Hour {
		units = units[1:]
	}
	d = max(d, 0)
	for i, u := range units {
		n := int(d / u.size)
		if n == 0 && u.size > time.Second {
			continue
		}
		first := c.count(u.name, n)
		if i+1 == len(units) {
			return first
		}
		next := units[i+1]
		m := int(d % u.size / next.size)
		if m == 0 {
			return first
		}
		return c.Text("duration.pair", "first", first, "second", c.count(next.name, m))
	}
	panic("locales: unreachable")
}

// count returns "3 minutes", with the plural that the language wants (CLDR).
func (c *Catalog) count(unit string, n int) string {
	form := plural.Cardinal.MatchPlural(c.tag, n, 0, 0, 0, 0)
	key := "duration." + unit + "." + formName(form)
	if !c.Has(key) {
		key = "duration." + unit + ".other"
	}
	return c.Text(key, "n", strconv.Itoa(n))
}

func formName(f plural.Form) string {
	switch f {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	}
	return "other"
}

// negotiate returns the best catalogue for a list of languages, or nil.
func negotiate(accept string) *Catalog {
	if accept == "" || len(accept) > maxAccept {
		return nil
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(tags) == 0 {
		return nil
	}
	_, i, confidence := matcher.Match(tags...)
	if confidence == language.No {
		return nil
	}
	return catalogs[i]
}

// find returns the catalogue of one tag, or nil. It does not take a related
// language, as negotiate does (CLDR sends Klingon to English).
func find(tag string) *Catalog {
	if len(tag) > maxAccept {
		return nil
	}
	want, err := language.Parse(tag)
	if err != nil {
		return nil
	}
	_, i, confidence := matcher.Match(want)
	base, _ := want.Base()
	if have, _ := catalogs[i].tag.Base(); base != have || confidence < language.High {
		return nil
	}
	return catalogs[i]
}

func newMatcher(catalogs []*Catalog) language.Matcher {
	tags := make([]language.Tag, len(catalogs))
	for i, c := range catalogs {
		tags[i] = c.tag
	}
	return language.NewMatcher(tags)
}

// load reads all catalogues. It panics on a broken one: they are part of the
// program, and a test would have shown it.
func load(fsys fs.FS) []*Catalog {
	names, err := fs.Glob(fsys, "*/*.json")
	if err != nil {
		panic("locales: " + err.Error())
	}
	byTag := make(map[language.Tag]*Catalog)
	for _, name := range names {
		tag := language.MustParse(path.Dir(name))
		c := byTag[tag]
		if c == nil {
			c = &Catalog{tag: tag, texts: make(map[string]string)}
			byTag[tag] = c
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			panic("locales: " + err.Error())
		}
		var texts map[string]string
		if err := json.Unmarshal(data, &texts); err != nil {
			panic("locales: " + name + ": " + err.Error())
		}
		for key, text := range texts {
			if c.Has(key) {
				panic("locales: " + name + ": repeated key " + key)
			}
			c.texts[key] = text
		}
	}
	english := byTag[language.English]
	if english == nil {
		panic("locales: no English catalogue")
	}
	list := []*Catalog{english}
	for _, c := range byTag {
		if c == english {
			continue
		}
		for key, text := range english.texts {
			// An English singular must not stand in for a form that this
			// language lacks: count then takes its own "other".
			singular := strings.HasPrefix(key, "duration.") && strings.HasSuffix(key, ".one")
			if !c.Has(key) && !singular {
				c.texts[key] = text
			}
		}
		list = append(list, c)
	}
	slices.SortFunc(list[1:], func(a, b *Catalog) int { return strings.Compare(a.Tag(), b.Tag()) })
	return list
}
