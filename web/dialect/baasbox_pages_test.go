package dialect

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/google/go-cmp/cmp"
)

const plainPolicy = "default-src 'none'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// formValues are those of a page with the form, with an error if there is one.
func formValues(login, problem string) map[string]string {
	values := map[string]string{
		"user_name": login, "application_name": "BaasBox", "link": "/user/password/reset/T2", "token": "T2",
		"password": "password", "repeat_password": "repeat-password", "form_template": baasboxFormTemplate("/user/password/reset/T2"),
	}
	if problem != "" {
		values["error"] = problem
	}
	return values
}

// The pages that BaasBox comes with, each of which may stand beside one of an
// administrator's, look as there.
func TestBaasBoxRender(t *testing.T) {
	settings, err := parseBaasboxSettings(readDump(t))
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$application_name$", "BaasBox", "$user_name$", "cesare", "$link$", "/user/password/reset/T2",
		"$password$", "password", "$repeat_password$", "repeat-password")
	form, err := parseBaasboxForm(settings[baasboxForm])
	if err != nil {
		t.Fatal(err)
	}
	feedback, err := parseBaasboxFeedback(settings[baasboxFeedback])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		page        *baasboxPage
		key         string
		values      map[string]string
		old, change []string
	}{
		{"form", form, baasboxForm, formValues("cesare", ""), []string{"$error$\n", ""}, nil},
		{"form again", form, baasboxForm, formValues("cesare", `"so" & so`), []string{"$error$", "&#34;so&#34; &amp; so"}, nil},
		{
			"changed", feedback, baasboxFeedback,
			map[string]string{"user_name": "cesare", "application_name": "BaasBox", "message": "Password changed"},
			[]string{"$error$\n", "", "$message$", "Password changed"},
			nil,
		},
		{
			"dead", feedback, baasboxFeedback,
			map[string]string{"user_name": "", "application_name": "BaasBox", "error": "Exception: gone"},
			[]string{"$message$\n", "", "$error$", "Exception: gone"},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page, policy := tt.page.render(tt.values)
			want := fill.Replace(strings.NewReplacer(tt.old...).Replace(settings[tt.key]))
			if diff := cmp.Diff(want, string(page)); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
			if policy != plainPolicy || !tt.page.inert {
				t.Errorf("policy %s, inert %t", policy, tt.page.inert)
			}
		})
	}
}

// Pages that would leave a person without an answer are refused.
func TestBaasBoxPagesRefused(t *testing.T) {
	const works = `<form method=post action="$link$"><input name="$password$"><input name="$repeat_password$"></form>`
	const noForm = "nobody could choose a password"
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", noForm},
		{"no form", "<p>$error$</p>", noForm},
		{"by GET", `$error$<form action="$link$"><input name="$password$"><input name="$repeat_password$"></form>`, noForm},
		{"in a form by GET", `$error$<form>` + works, noForm},
		{"to elsewhere", `$error$<form method="post" action="/login"><input name="$password$"><input name="$repeat_password$"></form>`, noForm},
		{"to the old host", `$error$<form method="post" action="https://old.example$link$"><input name="$password$"><input name="$repeat_password$"></form>`, noForm},
		{"to another host", `$error$<form method="post" action="//old.example/$token$"><input name="$password$"><input name="$repeat_password$"></form>`, noForm},
		{"one field", `$error$<form method="post" action="$link$"><input name="$password$"></form>`, noForm},
		{"other name", `$error$<form method="post" action="$link$"><input name="password"><input name="repeat_password"></form>`, noForm},
		{"field outside", `$error$<input name="$password$"><form method="post" action="$link$"><input name="$repeat_password$"></form>`, noForm},
		{"only after an error", `$if(error)$$error$` + works + `$endif$`, noForm},
		{"no error", works, "nobody would learn why a password was not taken"},
		{"error never", works + "$if(!error)$$error$$endif$", "nobody would learn why"},
		{"form in a form", "<form>$form_template$</form>$error$", "line 1: $form_template$ is a whole form"},
		{"form in the title", "<title>\n$form_template$</title>$error$", "line 2: $form_template$ is a whole form"},
		{"form in an attribute", `$error$<p title="$form_template$">`, `line 1: $form_template$ cannot stand in the attribute "title"`},
		{"message", works + "$error$\n$message$", "line 2: $message$ has no value here; there are $application_name$, $error$, $form_template$, $link$"},
		{"broken off", works + `$error$<p title="$user_name$`, "it breaks off"},
		{"private character", works + "$error$\uf8ff", "it has a character for private use"},
		{"many styles", works + "$error$" + func() string {
			var b strings.Builder
			for n := range 33 {
				fmt.Fprintf(&b, "<p style='width:%dpx'>", n)
			}
			return b.String()
		}(), "it has more than 32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseBaasboxForm(tt.text); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	for _, tt := range []struct{ name, text, want string }{
		{"no message", "$error$", "nobody would learn that the password was changed"},
		{"no error", "$message$", "nobody would learn why the password was not changed"},
		{"message never", "$error$$if(error)$$message$$endif$", "nobody would learn that"},
		{"link", "$error$$message$\n\n$link$", "line 3: $link$ has no value here; there are $application_name$, $error$, $message$, $user_name$"},
	} {
		t.Run("feedback, "+tt.name, func(t *testing.T) {
			if _, err := parseBaasboxFeedback(tt.text); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	for _, text := range []string{
		"$error$$form_template$", "$error$" + works, "$error$<FORM METHOD=POST>" + works[len(`<form method=post action="$link$">`):],
		`$error$<form method="POST" action="/user/password/reset/$token$"><input name="password"/><input name="repeat-password"/>`,
		`$if(error)$<b>$error$</b>$else$Welcome$endif$` + works,
		`$error$<form method="POST" action=" $link$ "><input name="password"/><input name="repeat-password"/>`,
	} {
		if _, err := parseBaasboxForm(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A value that others choose stands only where escaping keeps it text.
func TestBaasBoxPlaces(t *testing.T) {
	const code = "stands where its value could become code"
	for _, tt := range []struct{ name, text, want string }{
		{"text", "<p>$user_name$</p>", ""},
		{"title", "<title>$user_name$</title>", ""},
		{"text area", "<textarea>$user_name$</textarea>", ""},
		{"value", `<input value="$user_name$">`, ""},
		{"value in single quotes", `<input value='Hi $user_name$!'>`, ""},
		{"entity before", "<p>&$user_name$;</p>", ""},
		{"own name in any attribute", `<meta name="application-name" content="$application_name$"><a href="/x?a=$application_name$">`, ""},
		{"link without quotes", `<a href=$link$>`, ""},
		{"field without quotes", `<label for=$password$>`, ""},
		{"token", `<input type=hidden value="$token$">`, ""},
		{"in a constant script", "<script>var x = '\\$'</script>", ""},

		{"script", "<script>var x = '$user_name$'</script>", code},
		{"condition around", "<script>$if(user_name)$var x = '$user_name$'$endif$</script>", code},
		{"link in a script", "<script>var x = '$link$'</script>", code},
		{"style", "<style>p { content: '$application_name$' }</style>", code},
		{"no quotes", "<input value=$user_name$>", code},
		{"no quotes, within", "<input value=a$user_name$b>", code},
		{"name of an attribute", "<input $user_name$>", code},
		{"name of an attribute, joined", "<input data-$user_name$='x'>", code},
		{"element", "<$user_name$>", code},
		{"end of an element", "</$user_name$>", code},
		{"declaration", "<!$user_name$>", code},
		{"instruction", "<?$user_name$>", code},
		{"comment", "<!-- $user_name$ -->", code},
		{"frame", "<iframe>$user_name$</iframe>", code},
		{"without scripts", "<noscript>$user_name$</noscript>", code},
		{"handler", `<p onclick="f('$user_name$')">`, `$user_name$ cannot stand in the attribute "onclick"`},
		{"own handler", `<p onclick="f('$link$')">`, `$link$ cannot stand in the attribute "onclick"`},
		{"style attribute", `<p style="$application_name$">`, `$application_name$ cannot stand in the attribute "style"`},
		{"address", `<a href="$user_name$">`, `$user_name$ cannot stand in the attribute "href"`},
		{"picture", `<img src="/img?u=$error$">`, `$error$ cannot stand in the attribute "src"`},
		{"class", `<p class="$error$">`, `$error$ cannot stand in the attribute "class"`},
		{"document", `<iframe srcdoc="$link$">`, `$link$ cannot stand in the attribute "srcdoc"`},
		{"refresh", `<meta http-equiv=refresh content="0;$user_name$">`, `$user_name$ cannot stand in the attribute "content"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseBaasboxForm("$form_template$$error$\n" + tt.text)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "line 2: $") || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func TestBaasBoxPolicy(t *testing.T) {
	hash := func(text string) string { return withHash(nil, text)[0] }
	for _, tt := range []struct {
		name, text, want string
		inert            bool
	}{
		{"plain", "", plainPolicy, false},
		{"style", "<style>p{}</style>", strings.Replace(plainPolicy, "; form", "; style-src 'unsafe-hashes' "+hash("p{}")+"; form", 1), false},
		{"line ends", "<style>p{}\r\n</style>", strings.Replace(plainPolicy, "; form", "; style-src 'unsafe-hashes' "+hash("p{}\n")+"; form", 1), false},
		{"style attribute", `<p style="a:&quot;b&quot;">`, strings.Replace(plainPolicy, "; form", "; style-src 'unsafe-hashes' "+hash(`a:"b"`)+"; form", 1), false},
		{"same twice", `<p style="a:b"><p style="a:b">`, strings.Replace(plainPolicy, "; form", "; style-src 'unsafe-hashes' "+hash("a:b")+"; form", 1), false},
		{"script", "<script>a < b && '&amp;' \\$</script>", strings.Replace(plainPolicy, "; form", "; script-src "+hash("a < b && '&amp;' $")+"; form", 1), false},
		{"of another host", `<script src="https://cdn.example/x.js"></script>`, plainPolicy, true},
		{"of this host", `<script src="/x.js"></script>`, plainPolicy, true},
		{"style sheet", `<link rel="stylesheet" href="/x.css">`, plainPolicy, true},
		{"picture of another host", `<img src="//cdn.example/x.png">`, plainPolicy, true},
		{"picture", `<img src="/x.png"><img src="data:image/png;base64,AAAA">`, plainPolicy, false},
		{"handler", `<p onclick="x()">`, plainPolicy, true},
		{"empty", `<p style=""><style></style><script></script>`, plainPolicy, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := parseBaasboxForm("$form_template$$error$" + tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if _, policy := p.render(formValues("cesare", "")); policy != tt.want || p.inert != tt.inert {
				t.Errorf("inert %t, policy\n%s, want\n%s", p.inert, policy, tt.want)
			}
		})
	}
	// Each state of a page has its own.
	p, err := parseBaasboxForm("$form_template$$if(error)$$error$<style>a</style>$else$<style>b</style>$endif$")
	if err != nil {
		t.Fatal(err)
	}
	_, without := p.render(formValues("cesare", ""))
	_, with := p.render(formValues("cesare", "x"))
	if !strings.Contains(without, hash("b")) || strings.Contains(without, hash("a")) || !strings.Contains(with, hash("a")) || strings.Contains(with, hash("b")) {
		t.Errorf("policies\n%s\n%s", without, with)
	}
}

// hostile are values that try to be something else than text.
var hostile = []string{
	"", "cesare", `<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onfocus='alert(1)`, "--><b>", "-->", "--", "a\nb", "$link$", "$form_template$", `\$`,
	"&lt;", "img src=x onerror=alert(1)", "!--", "/p", "\uf8ff 0 \uf8ff", "x\x00y", "\xff", "]]>", "</title><script>", "javascript:alert(1)",
}

// shape is what a browser takes for structure: all but text and values.
func shape(page string) string {
	var b strings.Builder
	tokens := html.NewTokenizer(strings.NewReader(page))
	for tokens.Next() != html.ErrorToken {
		t := tokens.Token()
		if t.Type == html.TextToken {
			continue
		}
		fmt.Fprintf(&b, "%v", t.Type)
		if t.Type == html.CommentToken {
			fmt.Fprintf(&b, " %q", t.Data)
		} else {
			b.WriteString(" " + t.Data)
		}
		for _, a := range t.Attr {
			b.WriteString(" " + a.Key)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func isBlank(value string) bool { return strings.Trim(value, " \t\r\n\f\x00") == "" }

// FuzzBaasBoxPage looks for a template that is taken although a value could
// change what the page consists of.
func FuzzBaasBoxPage(f *testing.F) {
	for _, seed := range []string{
		"<p>$user_name$</p>", "<input value='$user_name$'>", "<!-- x --><title>$error$</title>", "$if(error)$<b title=\"$error$\">$endif$", "<style>a</style><p style='x'>",
		"<a href=$link$>", "<$user_name$", "<!--$user_name$>-->", "<p a=$user_name$>", "<script>'$user_name$'</script>", "&$user_name$", "<p\n$user_name$\n>", "<svg><![CDATA[$user_name$]]>",
		"<svg><title><a title=$user_name$>", "<select><title></select><a title=$user_name$>", "<noscript><a title='</noscript>' title=$user_name$>", "<svg><path></svg><math></math>$error$",
		"<textarea>$error$", "<plaintext>$user_name$", "<p title=\"$user_name$>", "<p title='a'$user_name$>",
	} {
		f.Add(seed, `"><script>x`, "' a='")
	}
	f.Fuzz(func(t *testing.T, text, login, problem string) {
		p, err := parseBaasboxForm("$form_template$$error$" + text)
		if err != nil || problem == "" {
			return
		}
		for _, problem := range []string{"", problem} {
			calm := problem
			if problem != "" {
				calm = "calm"
			}
			want, policy := p.render(formValues("calm", calm))
			for _, login := range append(hostile, login) {
				got, same := p.render(formValues(login, problem))
				if shape(string(got)) != shape(string(want)) || policy != same {
					t.Fatalf("%q with %q and %q becomes\n%s\nin place of\n%s", text, login, problem, got, want)
				}
				// Where text begins, a parser opens and ends elements: one
				// value must be there as the other is.
				if isBlank(login) || problem != "" && isBlank(problem) {
					continue
				}
				for _, scripts := range []bool{true, false} {
					if tree(t, string(got), scripts) != tree(t, string(want), scripts) {
						t.Fatalf("%q with %q and %q is, with scripts %t,\n%s\nin place of\n%s", text, login, problem, scripts, got, want)
					}
				}
			}
		}
	})
}

// Values are escaped, and never read as a template.
func TestBaasBoxHostileValues(t *testing.T) {
	p, err := parseBaasboxForm("$form_template$<p title='$user_name$'>$user_name$</p>\n$error$")
	if err != nil {
		t.Fatal(err)
	}
	form := baasboxFormTemplate("/user/password/reset/T2")
	for _, tt := range []struct{ login, want string }{
		{`<script>"a" & 'b'</script>`, "&lt;script&gt;&#34;a&#34; &amp; &#39;b&#39;&lt;/script&gt;"},
		{"$link$ $form_template$", "$link$ $form_template$"},
		{"a\xffb", "a\ufffdb"},
	} {
		page, _ := p.render(formValues(tt.login, tt.login))
		if want := form + "<p title='" + tt.want + "'>" + tt.want + "</p>\n" + tt.want; string(page) != want {
			t.Errorf("%q:\n%s, want\n%s", tt.login, page, want)
		}
	}
	for _, login := range hostile {
		got, _ := p.render(formValues(login, login+"x"))
		want, _ := p.render(formValues("calm", "calm"))
		if shape(string(got)) != shape(string(want)) {
			t.Errorf("%q becomes %s", login, got)
		}
	}
}
