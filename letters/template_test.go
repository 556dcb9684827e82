package letters_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/caddy-password-reset/caddy-password-reset/letters"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const (
	ownText = `{{define "subject"}}Neues Passwort für {{.Site}}{{end}}Hallo {{.Name}}
{{.Site}} {{.When}} {{.Reference}} {{.LinkTTL}}
{{.Link}}
{{if .Code}}{{.Code}} {{.CodeTTL}}{{end}}
{{.CancelLink}}
{{template "closing" .}}`
	ownHTML = `<p>Hallo {{.Name}} {{.Site}} {{.When}} {{.Reference}} {{.LinkTTL}}
<a href="{{.Link}}">{{.Link}}</a> {{if .Code}}{{.Code}} {{.CodeTTL}}{{end}} <a href="{{.CancelLink}}">{{.CancelLink}}</a></p>`
)

func folder(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fsys
}

func TestOwnTemplates(t *testing.T) {
	o := options()
	o.Templates = folder("reset.txt", ownText, "reset.html", ownHTML, "sent.html", "a page", "README.txt", "notes")
	l := letter(reset.LetterReset)
	l.To.Name = "A & B"
	h, text, markup := parts(t, compose(t, o, l))
	if got := h.Get("Subject"); got != "=?utf-8?q?Neues_Passwort_f=C3=BCr_Example?=" {
		t.Errorf("Subject: %s", got)
	}
	if !strings.HasPrefix(text, "Hallo A & B\n") || !strings.Contains(markup, "Hallo A &amp; B") {
		t.Errorf("text %q, HTML %q", text, markup)
	}
	// The others stay as they are.
	if _, text, _ := parts(t, compose(t, o, letter(reset.LetterChanged))); !strings.Contains(text, "was changed") {
		t.Errorf("changed: %q", text)
	}
}

func TestOwnTemplateErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files fstest.MapFS
		want  string
	}{
		{"half a pair", folder("reset.txt", ownText), "reset.txt and reset.html go together"},
		{"other half of a pair", folder("failed.html", ownHTML), "failed.txt and failed.html go together"},
		{"syntax", folder("reset.txt", "a\n{{if}}", "reset.html", ownHTML), "reset.txt:2"},
		{"syntax in HTML", folder("reset.txt", ownText, "reset.html", "\n\n{{.Link"), "reset.html:3"},
		{"unknown field", folder("reset.txt", ownText+"\n{{.Password}}", "reset.html", ownHTML), "reset.txt:7"},
		{"unknown field in HTML", folder("reset.txt", ownText, "reset.html", ownHTML+"{{.Token}}"), "reset.html:2"},
		{"secret in subject", folder("reset.txt", strings.Replace(ownText, "für {{.Site}}", "{{.Code}}", 1), "reset.html", ownHTML), "reset.txt:1"},
		{"empty subject", folder("reset.txt", strings.Replace(ownText, "Neues Passwort für {{.Site}}", "", 1), "reset.html", ownHTML), "subject must be one short line"},
		{"subject of two lines", folder("reset.txt", strings.Replace(ownText, "Neues", "Neues\n", 1), "reset.html", ownHTML), "subject must be one short line"},
		{"no link", folder("reset.txt", strings.ReplaceAll(ownText, "{{.Link}}", ""), "reset.html", ownHTML), "reset.txt does not show {{.Link}}"},
		{"no code in HTML", folder("reset.txt", ownText, "reset.html", strings.ReplaceAll(ownHTML, "{{.Code}}", "")), "reset.html does not show {{.Code}}"},
		{"no way out", folder("reset.txt", strings.ReplaceAll(ownText, "{{.CancelLink}}", ""), "reset.html", ownHTML), "reset.txt does not show {{.CancelLink}}"},
		{"link in a sentence", folder("reset.txt", strings.ReplaceAll(ownText, "{{.Link}}", "Open {{.Link}}."), "reset.html", ownHTML), "must stand alone on its line"},
		{"no way on", folder("failed.txt", "{{.Site}} {{.When}} {{.Reference}}", "failed.html", "x"), "failed."},
		{"endless", folder("reset.txt", ownText+strings.Repeat("x", 70_000), "reset.html", ownHTML), "more than 65536 bytes"},
		{"missing text", folder("reset.txt", ownText+`{{.Text "mail.nope"}}`, "reset.html", ownHTML), "reset.txt:6"},
		{"folder for a file", folder("reset.txt/x", "", "reset.html", ownHTML), "reset.txt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			o.Templates = tt.files
			if _, err := letters.New(o); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "templates: ") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestUnreadableFolder holds that templates which cannot be read are not taken
// for ones that are not there.
func TestUnreadableFolder(t *testing.T) {
	o := options()
	o.Templates = unreadable{}
	if _, err := letters.New(o); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

type unreadable struct{}

func (unreadable) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}
