package caddymodule_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Who is alarmed looks the message up in docs/operators/trouble.md: each that
// the source can log at level warn or error stands there with its level, and
// none that it cannot.
func TestOperatorsKnowEachMessage(t *testing.T) {
	text, err := os.ReadFile("../docs/operators/trouble.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string) // message → level
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\| (alarm|error|warn) \\|").FindAllStringSubmatch(string(text), -1) {
		for _, code := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			documented[code[1]] = row[2]
		}
	}
	logged := loggedMessages(t, "..")
	if len(logged) < 40 {
		t.Fatalf("only %d messages were found in the source", len(logged))
	}
	for message, level := range logged {
		if documented[message] != level {
			t.Errorf("docs/operators/trouble.md: level %q, and not %q, for the message %q", documented[message], level, message)
		}
	}
	for message := range documented {
		if _, ok := logged[message]; !ok {
			t.Errorf("docs/operators/trouble.md: nothing logs %q", message)
		}
	}
	// What a request was about begins a message that is put together.
	for _, doing := range doings(t, "../reset") {
		if !strings.Contains(string(text), "`"+doing+"`") {
			t.Errorf("docs/operators/trouble.md: %q is not among what can fail", doing)
		}
	}
}

// loggedMessages finds what is logged at level warn or error below root. What
// is put in is "…" in a message.
func loggedMessages(t *testing.T, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	each(t, root, func(call *ast.CallExpr, name string) {
		level := map[string]string{"alarm": "alarm", "sound": "alarm", "Error": "error", "Warn": "warn", "unavailable": "error", "logFault": "error"}[name]
		if level == "" {
			return
		}
		for _, arg := range call.Args {
			if s, ok := arg.(*ast.BasicLit); ok && s.Value == `"alarm"` {
				level = "alarm"
			}
		}
		// The message is the first argument, or the second of alarm, after the
		// site.
		n := 0
		if name == "alarm" || name == "sound" {
			n = 1
		}
		if len(call.Args) <= n {
			return // Error() of an error
		}
		message := rendered(call.Args[n])
		if message == "…" || name == "unavailable" && !strings.Contains(message, "503") {
			return // passed on: found where it is passed from
		}
		found[message] = level
	})
	// Passed on from a function that says for people what an attempt came to.
	found["the app did not take the change yet"] = "warn"
	return found
}

// doings are the arguments with which package reset says what it could not do.
func doings(t *testing.T, root string) (all []string) {
	t.Helper()
	each(t, root, func(call *ast.CallExpr, name string) {
		n := map[string]int{"unavailable": 0, "view": 1, "storeAlarm": 1}
		i, ok := n[name]
		if !ok || len(call.Args) <= i {
			return
		}
		if s := rendered(call.Args[i]); s != "…" {
			all = append(all, s)
		}
	})
	if len(all) < 5 {
		t.Fatalf("only %q were found in the source", all)
	}
	return all
}

// each visits the calls in the source of the module below root. Demo, samples
// and the commands of developers are none of an operator's.
func each(t *testing.T, root string, visit func(call *ast.CallExpr, name string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{"demo", "docs", "cmd", "testdata", ".git", "kvtest"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if s, ok := call.Fun.(*ast.SelectorExpr); ok {
					visit(call, s.Sel.Name)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rendered is a message as the document has it.
func rendered(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		if err != nil {
			return "…"
		}
		// A code span of the document cannot hold one within.
		return regexp.MustCompile("`[^`]*`").ReplaceAllString(s, "…")
	case *ast.BinaryExpr:
		return regexp.MustCompile("…+").ReplaceAllString(rendered(e.X)+rendered(e.Y), "…")
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Sprintf" {
			return regexp.MustCompile("%[a-z]").ReplaceAllString(rendered(e.Args[0]), "…")
		}
	}
	return "…"
}
