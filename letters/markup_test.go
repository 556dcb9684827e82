package letters

import (
	"slices"
	"strings"
	"testing"
)

// What a mail reader does not show holds neither a link nor a code.
func TestShown(t *testing.T) {
	const inside = `<a href="https://app.example.com/x">12345678</a>`
	for _, tt := range []struct {
		name, markup string
		want         bool
	}{
		{"paragraph", "<p>" + inside, true},
		{"in an element that is unknown", "<blink>" + inside + "</blink>", true},
		{"behind a script", "<script>x</script>" + inside, true},
		{"comment", "<!-- " + inside + " -->", false},
		{"script", "<script>" + inside + "</script>", false},
		{"for readers without scripts", "<noscript>" + inside + "</noscript>", false},
		{"style sheet", "<style>" + inside + "</style>", false},
		{"text field", "<textarea>" + inside + "</textarea>", false},
		{"template", "<template>" + inside + "</template>", false},
		{"frame", "<iframe>" + inside + "</iframe>", false},
		{"object", "<object>" + inside + "</object>", false},
		{"for readers without frames", "<noframes>" + inside + "</noframes>", false},
		{"for readers without plug-ins", "<noembed>" + inside + "</noembed>", false},
		{"hidden", "<p hidden>" + inside, false},
		{"not displayed", "<p style='DISPLAY : none'>" + inside, false},
		{"not visible", "<p style='visibility:hidden'>" + inside, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, links := shown("<html><body>x" + tt.markup)
			if got := strings.Contains(text, "12345678"); got != tt.want {
				t.Errorf("the text is seen: %v", got)
			}
			if got := slices.Contains(links, "https://app.example.com/x"); got != tt.want {
				t.Errorf("the link is seen: %v", got)
			}
		})
	}
}
