package directory

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// columns are those that a file may have; the first three it must.
var columns = []string{"id", "login", "email", "name", "locale"}

const requiredColumns = 3

// A table holds the accounts of one reading of a file. It does not change.
type table struct {
	accounts []reset.Account
	byName   map[string]int32   // folded login or email → its first account
	shared   map[string][]int32 // → the others, up to four; few names have any

	left    omission // rows that nobody can be found by
	crowded omission // rows that share a name with five before them
}

// A row is an account with its line in the file.
type row struct {
	reset.Account
	line int
}

// An omission counts rows that will not be found.
type omission struct {
	rows, firstLine int
}

// find returns the accounts whose login or email is the given one.
func (t *table) find(login string) []reset.Account {
	name := reset.Fold(login)
	first, known := t.byName[name]
	if !known {
		return nil
	}
	found := []reset.Account{t.accounts[first]}
	for _, i := range t.shared[name] {
		found = append(found, t.accounts[i])
	}
	return found
}

// parseTable reads a file. Its errors name the line and hold no value.
func parseTable(data []byte) (*table, error) {
	if len(data) == 0 {
		return nil, errors.New("file is empty; the first line names the columns: " + strings.Join(columns, ","))
	}
	// A file that is copied to its place may be seen half written, with an
	// address cut to a valid one of somebody else.
	if !bytes.HasSuffix(data, []byte("\n")) {
		return nil, fmt.Errorf("line %d: the last line has no line end; is the file complete?", bytes.Count(data, []byte("\n"))+1)
	}
	r := csv.NewReader(bytes.NewReader(data))
	r.ReuseRecord = true
	r.TrimLeadingSpace = true
	header, err := r.Read()
	if err != nil {
		return nil, lineError(err)
	}
	place, err := parseHeader(header)
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}

	t := &table{byName: make(map[string]int32), shared: make(map[string][]int32)}
	lines := make(map[string]int) // of the ids
	var mailless []row
	for {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, lineError(err)
		}
		line, _ := r.FieldPos(0)
		a, err := parseRow(record, place, line, lines)
		switch {
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", line, err)
		case a == nil:
			t.left.count(line)
		case a.Email == "":
			mailless = append(mailless, row{*a, line})
		default:
			t.add(row{*a, line})
		}
	}
	// At last, so that none takes the place of an account that can be mailed:
	// with some apps anybody may take another's address for a login.
	for _, r := range mailless {
		t.add(r)
	}
	return t, nil
}

// parseHeader returns for each of columns where it stands in a row, or -1.
func parseHeader(header []string) ([]int, error) {
	place := slices.Repeat([]int{-1}, len(columns))
	for i, name := range header {
		c := slices.Index(columns, reset.Fold(strings.TrimRight(name, " \t")))
		switch {
		case c < 0 && len(header) == 1 && strings.ContainsAny(name, ";\t"):
			return nil, errors.New("columns are separated by commas")
		case c < 0:
			// Ignored, a misspelt "locale" would go unnoticed; and an export
			// with password hashes has no business here.
			return nil, fmt.Errorf("column %d is unknown; there are %s", i+1, strings.Join(columns, ", "))
		case place[c] >= 0:
			return nil, fmt.Errorf("column %s stands there twice", columns[c])
		}
		place[c] = i
	}
	for c, name := range columns[:requiredColumns] {
		if place[c] < 0 {
			return nil, fmt.Errorf("column %s is missing", name)
		}
	}
	return place, nil
}

// parseRow returns the account of one row, or nil if nobody can be found by it.
func parseRow(record []string, place []int, line int, lines map[string]int) (*reset.Account, error) {
	field := func(c int) string {
		if place[c] < 0 {
			return ""
		}
		return strings.TrimRight(record[place[c]], " \t")
	}
	for _, s := range record {
		if !utf8.ValidString(s) {
			return nil, errors.New("not UTF-8")
		}
	}
	a := &reset.Account{ID: field(0), Login: field(1), Email: field(2), Name: field(3), Locale: field(4)}
	if other, ok := lines[a.ID]; ok {
		return nil, fmt.Errorf("id is that of line %d", other)
	}
	lines[a.ID] = line
	if err := checkID(a.ID); err != nil {
		return nil, err
	}
	// Old user tables hold addresses that are none, and guests without a name,
	// and a login is what somebody has chosen when they signed up. They must not
	// keep everybody else from a new password, nor Caddy from starting.
	if checkAccount(a) != nil || a.Email != "" && reset.ValidAddress(a.Email) != nil {
		return nil, nil
	}
	return a, nil
}

// add makes an account known by its login and its email.
func (t *table) add(r row) {
	i := int32(len(t.accounts))
	t.accounts = append(t.accounts, r.Account)
	login, email := reset.Fold(r.Login), reset.Fold(r.Email)
	crowded := !t.index(login, i)
	if email != "" && email != login && !t.index(email, i) {
		crowded = true
	}
	if crowded {
		t.crowded.count(r.line)
	}
}

// index makes an account known by a name, unless five are already.
func (t *table) index(name string, i int32) bool {
	if _, known := t.byName[name]; !known {
		t.byName[name] = i
		return true
	}
	if len(t.shared[name]) >= reset.MaxAccounts-1 {
		return false
	}
	t.shared[name] = append(t.shared[name], i)
	return true
}

func (o *omission) count(line int) {
	if o.rows == 0 || line < o.firstLine {
		o.firstLine = line
	}
	o.rows++
}

// lineError names the line of a fault of the CSV, without the rest of the
// text of encoding/csv.
func lineError(err error) error {
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		return fmt.Errorf("line %d: %w", pe.Line, pe.Err)
	}
	return err
}
