package dialect

import (
	"strings"
	"testing"
)

// No page tells another site its address, in which the token stands.
func TestBaasBoxDisclosing(t *testing.T) {
	const why = " is not possible: the token stands in the page's address"
	for _, tt := range []struct{ name, text, want string }{
		{"referrer", `<meta name="referrer" content="unsafe-url">`, `<meta name="referrer">` + why},
		{"referrer in capitals", `<META CONTENT=unsafe-url NAME=" Referrer ">`, `<meta name="referrer">` + why},
		{"referrer in entities", `<meta name="&#114;eferrer" content="unsafe-url">`, `<meta name="referrer">` + why},
		{"policy of a link", `<a href="https://www.example.com/" ReferrerPolicy=unsafe-url>x</a>`, "the attribute referrerpolicy" + why},
		{"policy of a picture", `<img src="/x.png" referrerpolicy>`, "the attribute referrerpolicy" + why},
		{"page inside", `<iframe srcdoc="&lt;meta name=referrer content=unsafe-url>">`, "the attribute srcdoc" + why},
		{"refresh", `<meta http-equiv="Refresh" content="0; url=https://www.example.com/">`, `<meta http-equiv="refresh">` + why},
		{"base", `<base href="https://www.example.com/">`, "<base>" + why},
		{"only after an error", `$if(error)$<base target="_blank">$endif$`, "<base>" + why},
		{"without scripts", `<noscript><base></noscript>`, "<noscript> cannot have elements"},
		{"others", `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="X-UA-Compatible" content="IE=edge"><a rel="noreferrer" href="/">`, ""},
		{"text", `<p title="referrerpolicy=unsafe-url">&lt;base></p><input name="referrer">`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseBaasboxForm("$form_template$$error$\n" + tt.text)
			checkFault(t, "form", err, tt.want)
			_, err = parseBaasboxFeedback("$message$$error$\n" + tt.text)
			checkFault(t, "feedback", err, tt.want)
		})
	}
}

// In a mail, as on pages, a value stands only where it stays text.
func TestBaasBoxMailPlaces(t *testing.T) {
	const code = "line 2: $user_name$ stands where its value could become code"
	for _, tt := range []struct{ name, text, want string }{
		{"text", "<title>$user_name$</title><p>Hi $user_name$, $token$", ""},
		{"attributes", `<a href='$link$' title="For $user_name$"><img alt="$user_name$" src="https://www.example.com/logo.png">`, ""},
		{"styles of every line", strings.Repeat("<style>p{}</style><p style='a:b'>", 40), ""},
		{"what only pages must not have", `<base target="_blank"><meta name="referrer" content="no-referrer"><form><input></form>`, ""},

		{"no quotes", "<p title=$user_name$>", code},
		{"link without quotes", "<a href=$link$>", `line 2: $link$ stands where its value could become code; put it into the text, or into quotes as in href="$link$"`},
		{"token without quotes", "<a href=/x/$token$>", "line 2: $token$ stands where its value could become code"},
		{"name of an attribute", "<p $user_name$>", code},
		{"element", "<$user_name$>", code},
		{"script", "<script>'$user_name$'</script>", code},
		{"style", "<style>p { content: '$user_name$' }</style>", code},
		{"link in a style", "<style>a { background: url($link$) }</style>", "line 2: $link$ stands where"},
		{"comment", "<!-- $user_name$ -->", code},
		{"address", `<a href="$user_name$">`, `line 2: $user_name$ cannot stand in the attribute "href"`},
		{"picture", `<img src="https://www.example.com/?$user_name$">`, `line 2: $user_name$ cannot stand in the attribute "src"`},
		{"handler", `<p onclick="$link$">`, `line 2: $link$ cannot stand in the attribute "onclick"`},
		{"style attribute", `<p style="$user_name$">`, `line 2: $user_name$ cannot stand in the attribute "style"`},
		{"broken off", `<p title="$user_name$`, "it breaks off in the middle of a tag"},
		{"private character", "\uf8ff", "it has a character for private use"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseBaasboxMail("<a href='$link$'>$link$</a>\n"+tt.text, true)
			checkFault(t, "HTML", err, tt.want)
			_, err = parseBaasboxMail("$link$\n"+tt.text, false)
			checkFault(t, "text", err, "")
		})
	}
}

// The mail that BaasBox comes with is taken as it is.
func TestBaasBoxDefaultMail(t *testing.T) {
	settings, err := parseBaasboxSettings(readDump(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseBaasboxMail(settings[baasboxHTML], true)
	if err != nil || got != settings[baasboxHTML] || !strings.Contains(got, "<a href='$link$'>$link$</a>") {
		t.Errorf("%v, %q", err, got)
	}
}
