package dialect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// What browsers read in another way than the tokenizer is refused: there, a
// name could become attributes.
func TestBaasBoxContext(t *testing.T) {
	const logo = `<svg viewBox="0 0 9 9" role="img"><g fill="red"><path d="M0 0"/><circle r="1"></circle><text>Ltd</text></g></svg>`
	type row struct{ name, text, want string }
	rows := []row{
		{"logo", logo + `<title>$user_name$</title><p title="$user_name$">$user_name$</p>`, ""},
		{"formula", "<math><mrow></mrow></math>$user_name$", ""},
		{"choice", `<select><option value="$user_name$">$user_name$</select><textarea>$user_name$</textarea>`, ""},
		{"plain text for those without scripts", "<noscript>You need no scripts &amp; that.</noscript>$user_name$", ""},
		{"end without begin", "</svg></math></select><title>$user_name$</title>", ""},

		{"attributes out of a title", "<svg><title><a title=$user_name$>", "<title> cannot stand within <svg>"},
		{"element out of a text area", "<svg><textarea></$user_name$>", "<textarea> cannot stand within <svg>"},
		{"in capitals", "<SVG><TITLE>", "<title> cannot stand within <svg>"},
		{"text", logo + "<svg><text>$user_name$</text></svg>", "line 2: $user_name$ stands within <svg>"},
		{"quotes", `<svg aria-label="$user_name$"></svg>`, "line 2: $user_name$ stands within <svg>"},
		{"own value", `<svg><a href="$link$">`, "line 2: $link$ stands within <svg>"},
		{"not closed", "<svg><path>\n</div></p><p>$user_name$", "line 3: $user_name$ stands within <svg>"},
		{"closed once", "<svg><svg></svg>$user_name$", "line 2: $user_name$ stands within <svg>"},
		{"closed by its slash", "<svg id=x/>$user_name$", "line 2: $user_name$ stands within <svg>"},
		{"closed by the other", "<svg><math></math></math>$user_name$", "line 2: $user_name$ stands within <svg>"},
		{"closed in CDATA", "<svg><![CDATA[></svg>]]><title>", "a CDATA section cannot stand within <svg>"},
		{"closed in a comment", "<svg><!-- </svg> -->$user_name$", "line 2: $user_name$ stands within <svg>"},
		{"end before begin", "</svg><svg>$user_name$", "line 2: $user_name$ stands within <svg>"},
		{"end before begin of a formula", "</math><math>$user_name$", "line 2: $user_name$ stands within <math>"},
		{"formula with text", "<math>$user_name$", "line 2: $user_name$ stands within <math>"},
		{"formula that is not left", "<math><mi><p></math></p></mi><title><a title=$user_name$>", "<mi> cannot stand within <math>"},

		{"attributes out of a choice", "<select><title></select><a title=$user_name$>", "<title> cannot stand within <select>"},
		{"choice that is not left", "<select><template></select></template><title></select><a title=$user_name$>", "<template> cannot stand within <select>"},
		{"frames", "<frameset><title><frame src=$user_name$>", "<frameset> is not possible"},
		{"attributes out of what needs no scripts", `<noscript><a title="</noscript>" title=$user_name$>`, "<noscript> cannot have elements"},
	}
	for _, name := range slices.Concat(baasboxRaw, []string{"foreignObject", "desc", "annotation-xml", "mi", "mn", "mo", "ms", "mtext"}) {
		for _, outer := range []string{"svg", "math"} {
			rows = append(rows, row{name + " in " + outer, "<" + outer + "><g><" + name + ">", "<" + strings.ToLower(name) + "> cannot stand within <" + outer + ">"})
		}
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseBaasboxForm("$form_template$$error$\n" + tt.text)
			checkFault(t, "page", err, tt.want)
			_, err = parseBaasboxMail("<a href='$link$'>$link$</a>\n"+tt.text, true)
			checkFault(t, "mail", err, tt.want)
		})
	}
}

func checkFault(t *testing.T, of string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
		t.Errorf("%s: %v, want %q", of, err, want)
	}
}

// tree is what a parser, which knows where an element stands, makes of a page:
// all elements and the names of their attributes.
func tree(t *testing.T, page string, scripts bool) string {
	t.Helper()
	root, err := html.ParseWithOptions(strings.NewReader(page), html.ParseOptionEnableScripting(scripts))
	if err != nil {
		t.Skip(err) // nested too deep
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		fmt.Fprintf(&b, "%s:%s", n.Namespace, n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
