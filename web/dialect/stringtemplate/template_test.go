package stringtemplate_test

import (
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect/stringtemplate"
)

// render fills a template with values; what is missing there is not set.
func render(t *testing.T, text string, values map[string]string) string {
	t.Helper()
	parsed, err := stringtemplate.Parse(text, "x", "y", "repeat_password")
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return parsed.Render(func(v stringtemplate.Variable) (string, bool) {
		value, set := values[v.Name]
		return value, set
	})
}

// What StringTemplate 4.0.7 makes of the same texts.
func TestRender(t *testing.T) {
	set := map[string]string{"x": "X", "y": "Y"}
	empty := map[string]string{"x": "", "y": ""}
	for _, c := range []struct {
		name, text string
		values     map[string]string
		want       string
	}{
		{"nothing", "", nil, ""},
		{"plain", "a {b} <c> & d\n", nil, "a {b} <c> & d\n"},
		{"variable", "Hi $x$!", set, "Hi X!"},
		{"with blanks", "Hi $ x $!", set, "Hi X!"},
		{"two", "$x$$y$", set, "XY"},
		{"not set", "Hi $x$!", nil, "Hi !"},
		{"escaped", `cost \$5 $x$`, set, "cost $5 X"},
		{"escaped all around", `\$x\$`, set, "$x$"},
		{"backslash", `a\\b back\slash \n end\`, nil, `a\b back\slash \n end\`},
		{"backslash before a variable", `\\$x$`, set, `\X`},
		{"value is no template", "$x$", map[string]string{"x": `$y$ \$ $if(`}, `$y$ \$ $if(`},
		{"line ends", "a\r\n$x$\r\nb", set, "a\nX\nb"},

		{"alone and empty", "a\n  $x$\nb", nil, "a\nb"},
		{"alone and empty text", "a\n  $x$\nb", empty, "a\nb"},
		{"alone and set", "a\n \t$x$\nb", set, "a\n \tX\nb"},
		{"alone in the first line", "$x$\nb", nil, "b"},
		{"a blank behind", "a\n$x$ \nb", nil, "a\n \nb"},
		{"something before", "a\n- $x$\nb", nil, "a\n- \nb"},
		{"alone at the end", "a\n$x$", nil, "a\n"},

		{"if", "$if(x)$yes$endif$", set, "yes"},
		{"if not", "$if(x)$yes$endif$", nil, ""},
		{"empty is set", "$if(x)$yes$endif$", empty, "yes"},
		{"negated", "$if(!x)$no$endif$", nil, "no"},
		{"negated and set", "$if(!x)$no$endif$", set, ""},
		{"else", "$if(x)$yes$else$no$endif$", nil, "no"},
		{"elseif", "$if(x)$x$elseif(y)$y$else$none$endif$", map[string]string{"y": "Y"}, "y"},
		{"elseif not", "$if(x)$x$elseif(!y)$not y$else$none$endif$", nil, "not y"},
		{"first that holds", "$if(x)$x$elseif(y)$y$endif$", set, "x"},
		{"blanks within", "$ if ( ! x ) $no$ endif $", nil, "no"},
		{"nested", "$if(x)$[$if(y)$both$else$one$endif$]$endif$", map[string]string{"x": "X"}, "[one]"},
		{"on lines of their own", "a\n  $if(x)$\n<p>$x$</p>\n  $else$\nnone\n$endif$\nb\n", set, "a\n<p>X</p>\nb\n"},
		{"on lines of their own, not set", "a\n$if(x)$\n<p>$x$</p>\n$endif$\nb\n", nil, "a\nb\n"},
		{"variable alone in an arm", "$if(x)$\n $y$\n$endif$\nb", map[string]string{"x": "X"}, "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := render(t, c.text, c.values); got != c.want {
				t.Errorf("%q: got %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown variable", "a\n\n$nmae$", "line 3: $nmae$ has no value here; there are $x$, $y$, $repeat_password$"},
		{"hyphen", "$repeat-password$", "line 1: $repeat-password$ has no value here"},
		{"case", "$X$", "line 1: $X$ has no value here"},
		{"lone dollar", "cost $5 only", `line 1: a lone dollar sign; write \$`},
		{"dollar at the end", "a\nb$", `line 2: a lone dollar sign`},
		{"over lines", "a $x\n$ b", `line 1: a lone dollar sign`},
		{"far apart", "cost $5 " + strings.Repeat("a", 100) + "$", `line 1: a lone dollar sign`},
		{"two dollars", "$$", "line 1: $$ is not understood"},
		{"script", "\n\n\n$('#a').x('$')", "line 4: $('#a').x('$ is not understood"},
		{"property", "$x.name$", "line 1: $x.name$ is not understood"},
		{"function", "$upper(x)$", "line 1: $upper(x)$ is not understood"},
		{"option", `$x; null="n"$`, "line 1:"},
		{"literal", `$"lit"$`, "line 1:"},
		{"map", "$x:{v|[v]}$", "line 1:"},
		{"comment", "$!no!$", "line 1:"},
		{"conjunction", "$if(x && y)$a$endif$", "line 1:"},
		{"unknown condition", "$if(z)$a$endif$", "line 1: $z$ has no value here"},
		{"empty condition", "$if()$a$endif$", "line 1:"},
		{"twice negated", "$if(!!x)$a$endif$", "line 1:"},
		{"open", "$if(x)$\n\na", "line 3: $endif$ is missing"},
		{"endif alone", "a\n$endif$", "line 2: $endif$ without $if"},
		{"else alone", "$else$", "line 1: $else$ without $if"},
		{"elseif alone", "$elseif(x)$", "line 1: $elseif$ without $if"},
		{"else twice", "$if(x)$\na\n$else$\nb\n$else$\nc\n$endif$", "line 5: $else$ after $else$"},
		{"elseif after else", "$if(x)$$else$$elseif(y)$$endif$", "line 1: $elseif$ after $else$"},
		{"too deep", strings.Repeat("$if(x)$", 17) + strings.Repeat("$endif$", 17), "line 1: conditions are nested more than 16 deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := stringtemplate.Parse(c.text, "x", "y", "repeat_password")
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%q: %v, want %s", c.text, err, c.want)
			}
		})
	}
}

func TestLines(t *testing.T) {
	parsed, err := stringtemplate.Parse("a\n$x$\n\n$if(x)$\n$y$\n$endif$\r\n $x$ b", "x", "y")
	if err != nil {
		t.Fatal(err)
	}
	var got []stringtemplate.Variable
	parsed.Render(func(v stringtemplate.Variable) (string, bool) {
		got = append(got, v)
		return "", true
	})
	want := []stringtemplate.Variable{{Name: "x", Line: 2}, {Name: "x"}, {Name: "y", Line: 5}, {Name: "x", Line: 7}}
	if len(got) != len(want) {
		t.Fatalf("asked for %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("asked for %v, want %v", got[i], want[i])
		}
	}
	if parsed.Condition() != 4 {
		t.Errorf("condition in line %d, want 4", parsed.Condition())
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"Hi $x$\n$if(y)$\n $y$\n$else$ \\$ $endif$", "$if(!x)$a$elseif(y)$b$endif$", "$$", `\\$x$`, "$if(", "$ else $", "\r\n$x$\r\n",
	} {
		f.Add(seed, "X", true)
	}
	f.Fuzz(func(t *testing.T, text, value string, set bool) {
		parsed, err := stringtemplate.Parse(text, "x", "y")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("no line: %v", err)
			}
			return
		}
		uses := 0
		got := parsed.Render(func(v stringtemplate.Variable) (string, bool) {
			if v.Line > 0 {
				uses++
			}
			return value, set
		})
		if set && uses > 0 && !strings.Contains(got, value) {
			t.Errorf("%q: the value is missing in %q", text, got)
		}
		if limit := len(text) + uses*len(value); len(got) > limit {
			t.Errorf("%q: %d bytes, from at most %d", text, len(got), limit)
		}
		if !strings.ContainsAny(text, "$\\\r") && got != text {
			t.Errorf("%q became %q", text, got)
		}
	})
}
