// Package stringtemplate renders the part of StringTemplate 4, with $ on both
// sides of an expression, that people write mails and pages with:
//
//	$name$            the value of a variable, nothing if it is not set
//	$if(name)$ … $elseif(!other)$ … $else$ … $endif$
//	\$ and \\         a dollar sign and a backslash
//
// As there, a line that holds nothing but a variable is dropped where the
// variable is empty, a line that holds nothing but one of the others is
// dropped always, and a variable that is set to an empty text counts as set. A
// value is never read as a template.
//
// StringTemplate renders a name that it does not know as nothing; here that,
// and all else that stands between two dollar signs, is an error that names
// the line. Nothing is escaped: that is for whoever gives the values.
package stringtemplate

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxExpression is more than any expression here is long: what is longer
	// began with a lone dollar sign.
	maxExpression = 100
	// maxDepth bounds how deep conditions are nested, and so the recursion.
	maxDepth = 16
)

// A Template is parsed text. It is safe for concurrent use.
type Template struct {
	nodes     []node
	condition int
}

// A Variable is one place where a value is asked for.
type Variable struct {
	Name string
	Line int // from 1; 0 in a condition
}

// A node is a text, a variable or a choice.
type node struct {
	text     string
	variable Variable
	alone    bool  // nothing else is in its line, text stands before it
	choice   []arm // the first whose condition holds is rendered
}

// An arm is one way through a choice.
type arm struct {
	name    string // "": always
	negated bool
	nodes   []node
}

// Parse parses text in which the known variables may stand. Its errors begin
// with the line.
func Parse(text string, known ...string) (*Template, error) {
	p := &parser{text: strings.ReplaceAll(text, "\r\n", "\n"), known: known, line: 1}
	nodes, _, err := p.nodes(0)
	if err != nil {
		return nil, err
	}
	return &Template{nodes: nodes, condition: p.condition}, nil
}

// Condition returns the line of the first condition, or 0 if there is none.
func (t *Template) Condition() int { return t.condition }

// Render returns the text with the values in it. Value is asked for each
// variable in turn, and tells whether it is set.
func (t *Template) Render(value func(Variable) (text string, set bool)) string {
	var b strings.Builder
	render(&b, t.nodes, value)
	return b.String()
}

func render(b *strings.Builder, nodes []node, value func(Variable) (string, bool)) {
	for _, n := range nodes {
		switch {
		case n.choice != nil:
			for _, a := range n.choice {
				if a.holds(value) {
					render(b, a.nodes, value)
					break
				}
			}
		case n.variable.Name == "":
			b.WriteString(n.text)
		default:
			v, set := value(n.variable)
			if !set {
				v = ""
			}
			if !n.alone {
				b.WriteString(v)
			} else if v != "" {
				b.WriteString(n.text + v + "\n")
			}
		}
	}
}

func (a arm) holds(value func(Variable) (string, bool)) bool {
	if a.name == "" {
		return true
	}
	_, set := value(Variable{Name: a.name})
	return set != a.negated
}

// A parser reads a text from at on.
type parser struct {
	text      string
	known     []string
	at        int
	line      int
	condition int
}

// nodes reads up to the end, or to the keyword that ends an arm of a choice.
func (p *parser) nodes(depth int) ([]node, expression, error) {
	if depth > maxDepth {
		return nil, expression{}, p.fault("conditions are nested more than %d deep", maxDepth)
	}
	var nodes []node
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			nodes = append(nodes, node{text: plain.String()})
			plain.Reset()
		}
	}
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c == '\\' && p.at+1 < len(p.text) && (p.text[p.at+1] == '$' || p.text[p.at+1] == '\\') {
			plain.WriteByte(p.text[p.at+1])
			p.at += 2
			continue
		}
		if c != '$' {
			if c == '\n' {
				p.line++
			}
			plain.WriteByte(c)
			p.at++
			continue
		}
		e, err := p.expression()
		if err != nil {
			return nil, e, err
		}
		if e.alone {
			// The blanks before it were written already.
			head := strings.TrimSuffix(plain.String(), e.indent)
			plain.Reset()
			plain.WriteString(head)
		}
		flush()
		switch e.keyword {
		case "":
			n := node{variable: Variable{Name: e.name, Line: e.line}, alone: e.alone}
			if e.alone {
				n.text = e.indent
			}
			nodes = append(nodes, n)
		case "if":
			if p.condition == 0 {
				p.condition = e.line
			}
			choice, err := p.choice(e, depth)
			if err != nil {
				return nil, e, err
			}
			nodes = append(nodes, node{choice: choice})
		default:
			if depth == 0 {
				return nil, e, fmt.Errorf("line %d: $%s$ without $if(…)$", e.line, e.keyword)
			}
			return nodes, e, nil
		}
	}
	flush()
	if depth > 0 {
		return nil, expression{}, p.fault("$endif$ is missing")
	}
	return nodes, expression{}, nil
}

// choice reads from behind $if(…)$ to behind its $endif$.
func (p *parser) choice(e expression, depth int) ([]arm, error) {
	var arms []arm
	for last := false; ; {
		nodes, end, err := p.nodes(depth + 1)
		if err != nil {
			return nil, err
		}
		arms = append(arms, arm{name: e.name, negated: e.negated, nodes: nodes})
		switch {
		case end.keyword == "endif":
			return arms, nil
		case last:
			return nil, fmt.Errorf("line %d: $%s$ after $else$", end.line, end.keyword)
		}
		last = end.keyword == "else"
		e = end
	}
}

// An expression is what stands between two dollar signs.
type expression struct {
	line    int
	keyword string // if, elseif, else, endif; "": a variable
	name    string
	negated bool
	alone   bool // in its line but for the indent
	indent  string
}

// expression reads one, and the rest of its line if it is alone there.
func (p *parser) expression() (expression, error) {
	e := expression{line: p.line}
	start := p.at
	rest := p.text[start+1:]
	rest = rest[:min(len(rest), maxExpression)]
	if end := strings.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	inner, _, closed := strings.Cut(rest, "$")
	if !closed {
		return e, p.fault(`a lone dollar sign; write \$`)
	}
	p.at += len(inner) + 2
	if err := p.classify(&e, strings.Trim(inner, " \t")); err != nil {
		return e, err
	}
	head := p.text[strings.LastIndexByte(p.text[:start], '\n')+1 : start]
	if strings.Trim(head, " \t") == "" && strings.HasPrefix(p.text[p.at:], "\n") {
		e.alone, e.indent = true, head
		p.at++
		p.line++
	}
	return e, nil
}

func (p *parser) classify(e *expression, inner string) error {
	if inner == "else" || inner == "endif" {
		e.keyword = inner
		return nil
	}
	e.name = inner
	for _, keyword := range []string{"elseif", "if"} {
		condition, ok := strings.CutPrefix(inner, keyword)
		if !ok {
			continue
		}
		condition = strings.Trim(condition, " \t")
		if !strings.HasPrefix(condition, "(") || !strings.HasSuffix(condition, ")") {
			break
		}
		condition = strings.Trim(condition[1:len(condition)-1], " \t")
		e.keyword = keyword
		e.name, e.negated = strings.CutPrefix(condition, "!")
		e.name = strings.Trim(e.name, " \t")
		break
	}
	switch {
	case slices.Contains(p.known, e.name):
		return nil
	case isName(e.name):
		return p.fault("$%s$ has no value here; there are $%s$", e.name, strings.Join(p.known, "$, $"))
	}
	return p.fault(`$%s$ is not understood: possible are $name$, $if(name)$, $if(!name)$, $elseif(name)$, $else$ and $endif$; for a dollar sign write \$`, strings.ToValidUTF8(inner, string(utf8.RuneError)))
}

func (p *parser) fault(format string, args ...any) error {
	return fmt.Errorf("line %d: "+format, append([]any{p.line}, args...)...)
}

func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/-") == ""
}
