package dialect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// baasboxRaw are the elements whose text is no markup, by their name alone.
// That is how the tokenizer reads them, everywhere. Browsers ask where such an
// element stands as well (HTML, section 13.2.6).
var baasboxRaw = []string{"iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp"}

// baasboxIntegration are the elements of SVG and MathML in which browsers go
// back to reading HTML, and so may take no notice of </svg> and </math>.
var baasboxIntegration = []string{"annotation-xml", "desc", "foreignobject", "mi", "mn", "mo", "ms", "mtext"}

// A baasboxContext keeps a template to what the tokenizer and every browser
// read alike. In <svg><title><a title=$user_name$> the one sees text where the
// others see an attribute without quotes: a name could bring attributes of its
// own.
//
// It counts no fewer elements than are open in a browser. One that is not
// closed goes on to the end.
type baasboxContext struct {
	svg, math int
	choice    bool // in <select>, where browsers drop most tags
}

// foreign returns the element that we are in whose content is not HTML, or "".
func (c *baasboxContext) foreign() string {
	switch {
	case c.svg > 0:
		return "svg"
	case c.math > 0:
		return "math"
	}
	return ""
}

// enter takes note of a token before what is in it is judged.
func (c *baasboxContext) enter(t html.Token, source string) error {
	outer := c.foreign()
	switch t.Type {
	case html.CommentToken:
		// Here it ends at >, in a browser at ]]>.
		if outer != "" && strings.HasPrefix(source, "<![") {
			return fmt.Errorf("a CDATA section cannot stand within <%s>", outer)
		}
		return nil
	case html.StartTagToken, html.SelfClosingTagToken:
	default:
		return nil
	}
	raw := slices.Contains(baasboxRaw, t.Data)
	switch {
	case outer != "" && (raw || slices.Contains(baasboxIntegration, t.Data)):
		return fmt.Errorf("<%s> cannot stand within <%s>, where browsers read it in another way; take it out, or close <%s> before it", t.Data, outer, outer)
	case c.choice && (raw || t.Data == "template"):
		return fmt.Errorf("<%s> cannot stand within <select>, where browsers read it in another way; take it out, or close <select> before it", t.Data)
	case t.Data == "frameset":
		return errors.New("<frameset> is not possible: browsers drop what else stands in the page")
	}
	// A slash before > closes nothing here: the tokenizer sees one in
	// <svg id=x/> too, where it belongs to the value.
	switch t.Data {
	case "svg":
		c.svg++
	case "math":
		c.math++
	case "select":
		c.choice = true
	}
	return nil
}

// leave takes note of a token after what is in it was judged.
func (c *baasboxContext) leave(t html.Token) {
	if t.Type != html.EndTagToken {
		return
	}
	switch t.Data {
	case "svg":
		c.svg = max(c.svg-1, 0)
	case "math":
		c.math = max(c.math-1, 0)
	case "select":
		c.choice = false
	}
}
