package letters

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// shown returns what a reader of an HTML part can see of it, and where its
// links lead. What only a style sheet hides is not known.
func shown(markup string) (text string, links []string) {
	document, err := html.Parse(strings.NewReader(markup))
	if err != nil {
		return "", nil // nested too deep: who knows what a mail reader makes of it
	}
	var b strings.Builder
	var see func(*html.Node)
	see = func(n *html.Node) {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
			b.WriteByte(' ')
		}
		if n.Type == html.ElementNode {
			if hidden(n) {
				return
			}
			if n.DataAtom == atom.A {
				links = append(links, attribute(n, "href"))
			}
		}
		for child := range n.ChildNodes() {
			see(child)
		}
	}
	see(document)
	return b.String(), links
}

// hidden tells whether an element is not shown, with all that is in it.
func hidden(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Head, atom.Style, atom.Template, atom.Textarea,
		// Mail readers drop these, or show something else in their place.
		atom.Script, atom.Noscript, atom.Iframe, atom.Object, atom.Noframes, atom.Noembed:
		return true
	}
	for _, a := range n.Attr {
		if a.Key == "hidden" {
			return true
		}
	}
	style := strings.Join(strings.Fields(reset.Fold(attribute(n, "style"))), "")
	return strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
