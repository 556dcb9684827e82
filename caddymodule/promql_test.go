package caddymodule_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// An exposition is what a scrape has shown of us: for the name of each series,
// the values of its labels.
type exposition map[string]map[string][]string

var (
	sample = regexp.MustCompile(`(?m)^(` + ours + `[a-z_]+)(?:\{([^}]*)\})? `)
	label  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	family = regexp.MustCompile(`(?m)^# TYPE (` + ours + `[a-z_]+) `)
)

func expose(scrape string) exposition {
	shown := make(exposition)
	for _, line := range sample.FindAllStringSubmatch(scrape, -1) {
		if shown[line[1]] == nil {
			shown[line[1]] = make(map[string][]string)
		}
		for _, l := range label.FindAllStringSubmatch(line[2], -1) {
			shown[line[1]][l[1]] = append(shown[line[1]][l[1]], l[2])
		}
	}
	return shown
}

var (
	// lexeme finds what PromQL consists of.
	lexeme = regexp.MustCompile(`[a-zA-Z_$][a-zA-Z0-9_:]*|"[^"]*"|[0-9][0-9.a-z]*|[=!]~|[=!<>]=|[-+*/<>=(){}\[\],]|\S`)

	words = []string{
		"sum", "min", "max", "rate", "increase", "absent", "histogram_quantile", "time", "by", "unless", "and", "or", "on", "ignoring", "bool",
	}
	// added are the labels that Prometheus adds.
	added = []string{"instance", "job"}
)

// An expression is what was read of one: names of series, and labels.
type expression struct {
	series, grouped []string
	rest            []string // tokens to be read
}

// read reads PromQL as far as it is used here: names with matchers, functions,
// and groupings. All else that is a word is an error, and so is a name or a label
// that was not exposed, or a value that no series has. (Prometheus's own parser
// would raise forty modules in ours for this one test.)
func (shown exposition) read(text string) (expression, error) {
	e := expression{rest: lexeme.FindAllString(text, -1)}
	if strings.Count(text, "(") != strings.Count(text, ")") || strings.Count(text, "[") != strings.Count(text, "]") {
		return e, errors.New("brackets are not closed")
	}
	for len(e.rest) > 0 {
		word := e.next()
		switch {
		case word == "[":
			if length := e.next(); !regexp.MustCompile(`^([0-9]+[mhd]|\$__rate_interval)$`).MatchString(length) || e.next() != "]" {
				return e, fmt.Errorf("a range of %s", length)
			}
		case word == "by", word == "on", word == "ignoring":
			if err := e.grouping(); err != nil {
				return e, err
			}
		case strings.HasPrefix(word, ours):
			if err := shown.matchers(&e, word); err != nil {
				return e, err
			}
		case regexp.MustCompile(`^[a-zA-Z_]`).MatchString(word) && !slices.Contains(words, word):
			return e, fmt.Errorf("%s is no word that is known here", word)
		case regexp.MustCompile(`^[^a-zA-Z0-9_(),<>=*/+-]`).MatchString(word) && word != "!=":
			return e, fmt.Errorf("%s has no place here", word)
		}
	}
	if len(e.series) == 0 {
		return e, errors.New("there is no series of ours in it")
	}
	for _, l := range e.grouped {
		if !shown.has(e.series, l) {
			return e, fmt.Errorf("no series in it has the label %s", l)
		}
	}
	return e, nil
}

func (e *expression) next() string {
	if len(e.rest) == 0 {
		return ""
	}
	word := e.rest[0]
	e.rest = e.rest[1:]
	return word
}

func (e *expression) grouping() error {
	if e.next() != "(" {
		return errors.New("a grouping without labels")
	}
	for {
		e.grouped = append(e.grouped, e.next())
		switch e.next() {
		case ",":
		case ")":
			return nil
		default:
			return errors.New("a grouping does not end")
		}
	}
}

// matchers reads what stands behind the name of a series.
func (shown exposition) matchers(e *expression, name string) error {
	if shown[name] == nil {
		return fmt.Errorf("there is no series %s", name)
	}
	e.series = append(e.series, name)
	if len(e.rest) == 0 || e.rest[0] != "{" {
		return nil
	}
	for e.next(); ; {
		l, operator, value := e.next(), e.next(), strings.Trim(e.next(), `"`)
		if !shown.has([]string{name}, l) {
			return fmt.Errorf("%s has no label %s", name, l)
		}
		alternatives := []string{value}
		if strings.HasSuffix(operator, "~") {
			alternatives = strings.Split(value, "|")
		}
		for _, v := range alternatives {
			if !strings.HasPrefix(v, "$") && !slices.Contains(shown[name][l], v) {
				return fmt.Errorf("no series %s has %s=%q", name, l, v)
			}
		}
		switch e.next() {
		case ",":
		case "}":
			return nil
		default:
			return fmt.Errorf("the matchers of %s do not end", name)
		}
	}
}

// has tells whether one of the series has a label.
func (shown exposition) has(series []string, l string) bool {
	if slices.Contains(added, l) {
		return true
	}
	return slices.ContainsFunc(series, func(name string) bool { return shown[name][l] != nil })
}
