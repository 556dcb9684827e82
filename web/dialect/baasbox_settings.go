package dialect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
	"github.com/caddy-password-reset/caddy-password-reset/strictjson"
)

// Settings of BaasBox that we use, as they are called in its export.
const (
	baasboxSubject    = "email.subject"
	baasboxText       = "email.template.text"
	baasboxHTML       = "email.template.html"
	baasboxExpiration = "email.expiration.time" // in minutes
	baasboxForm       = "page.html.template"
	baasboxFeedback   = "page.html.feedback.template"
	baasboxName       = "application.name"
)

// baasboxElsewhere says where settings belong that are not a dialect's: a key,
// or the beginning of one.
var baasboxElsewhere = []struct{ key, advice string }{
	{"email.from", "email.from: not used; write `from` in the site"},
	{"network.http.", "network.http.*: not used; write `base_url` in the site"},
	{"network.smtp.", "network.smtp.*: not used; write `smtp` in the global block or in the site"},
}

const (
	// baasboxHidden stands for a value that the administrator was not to see.
	baasboxHidden = "--HIDDEN--"
	// quotes stand around text of several lines.
	quotes = `"""`
)

// What to do with a file that is none of the known ones.
var (
	errBaasboxForeign = errors.New("not an exported configuration of BaasBox; save the answer to GET /admin/configuration/dump.json")
	errBaasboxText    = errors.New("dump.txt does not tell where a value ends; save the answer to GET /admin/configuration/dump.json instead")
	errBaasboxFailed  = errors.New("this is an error answer of BaasBox; GET /admin/configuration/dump.json needs the session of an administrator")
)

// baasboxSettings are the settings in an exported configuration by key, of the
// sections PasswordRecovery and Application, whose keys do not overlap. One
// without a value, or with a hidden one, is not there.
type baasboxSettings map[string]string

// parseBaasboxSettings reads the answer to GET /admin/configuration/dump.json,
// or to GET /admin/configuration/PasswordRecovery, each with or without the
// object that BaasBox wraps answers in; or the lines of application.conf that
// override settings. Its errors hold no value.
func parseBaasboxSettings(data []byte) (baasboxSettings, error) {
	text := bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.TrimSpace(text)
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, errBaasboxForeign
	}
	s := make(baasboxSettings)
	var err error
	switch {
	case len(data) == 0:
		return nil, errors.New("the file is empty")
	case data[0] == '{':
		err = s.parseAnswer(data)
	case data[0] == '[' && json.Valid(data):
		err = s.parseAnswer(slices.Concat([]byte(`{"data":`), data, []byte("}")))
	case bytes.Contains(data, []byte("\n  - EMAIL\n      + email.")), bytes.Contains(data, []byte("\n  - APPLICATION\n      + application.")):
		err = errBaasboxText
	case bytes.Contains(data, []byte("baasbox.settings.")):
		err = s.parseLines(string(text))
	default:
		err = errBaasboxForeign
	}
	switch {
	case err != nil:
		return nil, err
	case len(s) == 0:
		return nil, errors.New("it has no value for any setting of PasswordRecovery or Application")
	}
	return s, nil
}

// unused says of the settings that have to be written elsewhere where that is.
func (s baasboxSettings) unused() []string {
	var advice []string
	for _, e := range baasboxElsewhere {
		for key := range s {
			if key == e.key || strings.HasSuffix(e.key, ".") && strings.HasPrefix(key, e.key) {
				advice = append(advice, e.advice)
				break
			}
		}
	}
	return advice
}

// set takes a value. A key is compared without regard to case, as BaasBox does.
func (s baasboxSettings) set(key, value string) error {
	key = reset.Fold(key)
	if _, twice := s[key]; twice {
		return fmt.Errorf("%s: it stands there twice", key)
	}
	if value != "" && value != baasboxHidden {
		s[key] = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(value)
	}
	return nil
}

// setRaw takes a value in JSON.
func (s baasboxSettings) setRaw(o strictjson.Object, member, key string) error {
	if string(o[member]) == "null" {
		return nil
	}
	value, ok := o.Text(member)
	if !ok {
		return fmt.Errorf("%s: its value is not text, as each is in the export", printableKey(key))
	}
	return s.set(key, value)
}

func (s baasboxSettings) parseAnswer(data []byte) error {
	answer, err := strictjson.Parse(data)
	if err != nil {
		return err
	}
	if result, _ := answer.Text("result"); result == "error" {
		return errBaasboxFailed
	}
	entries, err := baasboxList(answer["data"])
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name, isSection := e.Text("section"); isSection {
			err = s.parseSection(name, e)
		} else if key, isEntry := e.Text("key"); isEntry {
			err = s.setRaw(e, "value", key)
		} else {
			err = errBaasboxForeign
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s baasboxSettings) parseSection(name string, section strictjson.Object) error {
	if !isBaasboxSection(name) {
		return nil
	}
	parts, err := strictjson.Parse(section["sub sections"])
	if err != nil {
		return errBaasboxForeign
	}
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		entries, err := baasboxList(parts[part])
		if err != nil {
			return err
		}
		for _, e := range entries {
			// The setting's own name is that of a member; these go with it.
			for _, known := range []string{"description", "type", "editable", "visible", "overridden"} {
				delete(e, known)
			}
			if len(e) != 1 {
				return errBaasboxForeign
			}
			for key := range e {
				if err := s.setRaw(e, key, key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func baasboxList(data json.RawMessage) ([]strictjson.Object, error) {
	var raw []json.RawMessage
	if len(data) == 0 || data[0] != '[' || json.Unmarshal(data, &raw) != nil {
		return nil, errBaasboxForeign
	}
	list := make([]strictjson.Object, len(raw))
	for i := range raw {
		o, err := strictjson.Parse(raw[i])
		if err != nil {
			return nil, errBaasboxForeign
		}
		list[i] = o
	}
	return list, nil
}

// parseLines reads lines such as
//
//	baasbox.settings.PasswordRecovery.email.subject.value="Reset"
//
// in the part of HOCON that has one reading: text is in quotes or between
// triples of them, and may go without if it has no character with a meaning.
func (s baasboxSettings) parseLines(text string) error {
	for next := 1; text != ""; {
		line, rest, _ := strings.Cut(text, "\n")
		at := next
		text, next = rest, next+1
		line = strings.TrimLeft(line, " \t\r")
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "//") {
			continue
		}
		setting, found := strings.CutPrefix(line, "baasbox.settings.")
		sign := strings.IndexAny(setting, "=:")
		if !found || sign < 0 {
			return fmt.Errorf("line %d: only lines baasbox.settings.SECTION.KEY.value=VALUE are read; put those into a file of their own", at)
		}
		value := strings.TrimLeft(setting[sign+1:], " \t")
		if raw, triple := strings.CutPrefix(value, quotes); triple && !strings.Contains(raw, quotes) {
			// It goes on to the line with the other quotes.
			end := max(strings.Index(text, quotes), 0)
			if n := strings.IndexByte(text[end:], '\n'); n >= 0 {
				end += n
			} else {
				end = len(text)
			}
			value += "\n" + text[:end]
			next += strings.Count(text[:end], "\n") + 1
			text = strings.TrimPrefix(text[end:], "\n")
		}
		if err := s.parseLine(strings.TrimSpace(setting[:sign]), value); err != nil {
			return fmt.Errorf("line %d: %w", at, err)
		}
	}
	return nil
}

func (s baasboxSettings) parseLine(name, raw string) error {
	section, key, _ := strings.Cut(name, ".")
	dot := strings.LastIndexByte(key, '.')
	if dot < 0 {
		return errors.New("SECTION, KEY or the ending .value is missing")
	}
	key, ending := key[:dot], key[dot+1:]
	switch {
	case ending == "visible" || ending == "editable":
		return nil
	case ending != "value":
		return errors.New("the ending .value is missing")
	case !isBaasboxSection(section):
		return nil
	}
	value, err := parseHOCON(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", printableKey(key), err)
	}
	return s.set(key, value)
}

// parseHOCON reads one value, with a comment behind it if there is one. It is
// "" for null.
func parseHOCON(raw string) (string, error) {
	var value, rest string
	switch {
	case strings.HasPrefix(raw, quotes):
		end := strings.Index(raw[len(quotes):], quotes)
		if end < 0 {
			return "", errors.New(quotes + " is missing at the end")
		}
		end += len(quotes)
		value, rest = raw[len(quotes):end], raw[end+len(quotes):]
		// Of more than three quotes at the end, the first belong to the text.
		more := len(rest) - len(strings.TrimLeft(rest, `"`))
		value, rest = value+rest[:more], rest[more:]
	case strings.HasPrefix(raw, `"`):
		// The escapes are those of JSON.
		dec := json.NewDecoder(strings.NewReader(raw))
		if err := dec.Decode(&value); err != nil {
			return "", errors.New("the text in quotes is damaged")
		}
		rest = raw[dec.InputOffset():]
	default:
		end := len(raw)
		for _, comment := range []string{"#", "//"} {
			if i := strings.Index(raw, comment); i >= 0 {
				end = min(end, i)
			}
		}
		value = strings.TrimSpace(raw[:end])
		switch {
		case strings.ContainsAny(value, "$\"{}[]:=,+`^?!@*&\\"):
			return "", errors.New("write the value in quotes")
		case value == "null":
			return "", nil
		}
	}
	rest = strings.TrimSpace(rest)
	if rest != "" && rest[0] != '#' && !strings.HasPrefix(rest, "//") {
		return "", errors.New("something follows the text in quotes")
	}
	return value, nil
}

func isBaasboxSection(name string) bool { return name == "PasswordRecovery" || name == "Application" }

// printableKey returns a key for an error, where it is one.
func printableKey(key string) string {
	if len(key) > 64 || strings.Trim(reset.Fold(key), "abcdefghijklmnopqrstuvwxyz._") != "" {
		return "a setting"
	}
	return reset.Fold(key)
}
