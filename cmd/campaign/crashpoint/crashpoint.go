// Package crashpoint makes a program that can be killed before any statement
// of chosen packages, so that a test finds every step at which a crash may
// come, and not only those that somebody has thought of.
//
// The program that is built with what [Plant] has put into an overlay behaves
// as always until its environment says otherwise:
//
//   - CRASH_POINT names a point and CRASH_HIT how often it is to be reached, by
//     default once: then the process kills itself with SIGKILL, as the kernel
//     does when memory runs out.
//   - CRASH_LIST names a file that gets a line with a point whenever that was
//     reached 1, 2, 4, 8, … times. [Read] reads it.
//
// A point is named by its function and position, "reset.(*Site).accept
// change.go:141". Lines stay where they are, so stack traces stay true.
package crashpoint

import (
	"bufio"
	"cmp"
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/overlay"
)

// The environment of a planted program.
const (
	PointVariable = "CRASH_POINT"
	HitVariable   = "CRASH_HIT"
	ListVariable  = "CRASH_LIST"
)

// planted is the file that is added to each package.
const planted = "crashpoint_planted.go"

//go:embed planted.txt
var source string

// Plant puts a point before each statement of these packages, named by their
// folders, as the overlay has them. It returns how many there are.
func Plant(o *overlay.Overlay, packages ...string) (points int, err error) {
	for _, p := range packages {
		n, err := plantPackage(o, p)
		if err != nil {
			return 0, fmt.Errorf("planting points in %s: %w", p, err)
		}
		points += n
	}
	return points, nil
}

func plantPackage(o *overlay.Overlay, dir string) (points int, err error) {
	files, err := filepath.Glob(filepath.Join(o.Root(), filepath.FromSlash(dir), "*.go"))
	if err != nil {
		return 0, err
	}
	name := ""
	for _, file := range files {
		base := filepath.Base(file)
		if strings.HasSuffix(base, "_test.go") {
			continue
		}
		at := path.Join(dir, base)
		content, err := o.Read(at)
		if err != nil {
			return 0, err
		}
		changed, of, n, err := instrument(base, content)
		if err != nil {
			return 0, err
		}
		if err := o.Set(at, changed); err != nil {
			return 0, err
		}
		points += n
		name = of
	}
	if points == 0 {
		return 0, fmt.Errorf("no statement in it")
	}
	return points, o.Set(path.Join(dir, planted), []byte(strings.Replace(source, "package planted", "package "+name, 1)))
}

// instrument returns a file with a call before each statement, on the
// statement's own line.
func instrument(base string, content []byte) (changed []byte, pkg string, points int, err error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, base, content, parser.SkipObjectResolution)
	if err != nil {
		return nil, "", 0, err
	}
	var calls []call
	lines := make(map[int]int) // statements met so far, by line
	for _, d := range f.Decls {
		function := "init"
		if fn, ok := d.(*ast.FuncDecl); ok {
			function = nameOf(fn)
		}
		ast.Inspect(d, func(n ast.Node) bool {
			for _, s := range statements(n) {
				at := fset.Position(s.Pos())
				point := fmt.Sprintf("%s.%s %s:%d", f.Name.Name, function, base, at.Line)
				if lines[at.Line]++; lines[at.Line] > 1 {
					point += fmt.Sprintf(".%d", lines[at.Line])
				}
				calls = append(calls, call{at.Offset, point})
			}
			return true
		})
	}
	slices.SortStableFunc(calls, func(a, b call) int { return cmp.Compare(a.offset, b.offset) })
	from := 0
	for _, c := range calls {
		changed = append(changed, content[from:c.offset]...)
		changed = fmt.Appendf(changed, "crashPoint(%q); ", c.point)
		from = c.offset
	}
	return append(changed, content[from:]...), f.Name.Name, len(calls), nil
}

// A call is one to be inserted.
type call struct {
	offset int
	point  string
}

// statements returns those that stand in a block of their own, where another
// may stand before them.
func statements(n ast.Node) (found []ast.Stmt) {
	switch n := n.(type) {
	case *ast.BlockStmt:
		found = n.List
	case *ast.CaseClause:
		found = n.Body
	case *ast.CommClause:
		found = n.Body
	}
	return slices.DeleteFunc(slices.Clone(found), func(s ast.Stmt) bool {
		switch s.(type) {
		case *ast.CaseClause, *ast.CommClause, *ast.EmptyStmt: // the first two in the block of a switch or select
			return true
		}
		return false
	})
}

func nameOf(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	t, pointer := fn.Recv.List[0].Type, false
	if star, ok := t.(*ast.StarExpr); ok {
		t, pointer = star.X, true
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	receiver := "?"
	if id, ok := t.(*ast.Ident); ok {
		receiver = id.Name
	}
	if pointer {
		receiver = "(*" + receiver + ")"
	}
	return receiver + "." + fn.Name.Name
}

// A Point is one that was reached.
type Point struct {
	Name string
	Hits int // at least so many times
}

// Read reads what a program has listed, in the order in which the points were
// first reached.
func Read(file string) ([]Point, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading points: %w", err)
	}
	defer f.Close()
	return read(f)
}

func read(r io.Reader) (points []Point, err error) {
	where := make(map[string]int)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		number, name, found := strings.Cut(lines.Text(), " ")
		hits, err := strconv.Atoi(number)
		if err != nil || !found {
			return nil, fmt.Errorf("reading points: %q", lines.Text())
		}
		n, known := where[name]
		if !known {
			n = len(points)
			where[name] = n
			points = append(points, Point{Name: name})
		}
		points[n].Hits = max(points[n].Hits, hits)
	}
	return points, lines.Err()
}
