package passwords

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go/data"
)

// Bounds of [LoadBlocklist].
const (
	maxBlocklistBytes = 16 << 20
	maxBlocklistWord  = MostMaxBytes
)

// The lists in the zxcvbn data. Its 10,000 most common passwords are spread
// over all of them: a password that is a name or an English word as well is
// left out of the list of passwords. Dictionary words have to be refused
// anyway.
var lists = [...]string{"Passwords", "English", "MaleNames", "FemaleNames", "Surnames"}

// commonPasswords reads the lists, once for all policies.
var commonPasswords = sync.OnceValues(readLists)

// LoadBlocklist reads an operator's list of words that must not be a
// password: one a line, UTF-8, at most 16 MiB. Empty lines and lines that
// start with # are skipped, spaces at the ends are no part of a word. Errors
// name the line and never quote it.
func LoadBlocklist(r io.Reader) ([]string, error) {
	limited := &io.LimitedReader{R: r, N: maxBlocklistBytes + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, 1024), maxBlocklistWord+2)
	var words []string
	n := 0
	for lines.Scan() {
		n++
		if limited.N == 0 {
			break // this line may be cut in the middle of a character
		}
		word := lines.Text()
		if n == 1 {
			word = strings.TrimPrefix(word, "\ufeff") // editors put it there
		}
		word = strings.Trim(word, " \t\r")
		switch {
		case word == "" || word[0] == '#':
			continue
		case !utf8.ValidString(word):
			return nil, fmt.Errorf("line %d is not UTF-8", n)
		case strings.ContainsFunc(word, unicode.IsControl):
			return nil, fmt.Errorf("line %d holds a control character", n)
		}
		words = append(words, word)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d is longer than %d bytes", n+1, maxBlocklistWord)
	case err != nil:
		return nil, fmt.Errorf("reading line %d: %w", n+1, err)
	case limited.N == 0:
		return nil, fmt.Errorf("list is larger than %d MiB", maxBlocklistBytes>>20)
	}
	return words, nil
}

func readLists() (set, error) {
	words := make(set, 100_000)
	for _, name := range lists {
		raw, err := data.Asset("data/" + name + ".json")
		if err != nil {
			return nil, err
		}
		var file struct{ List []string }
		if err := json.Unmarshal(raw, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, w := range file.List {
			words.add(fold(w))
		}
	}
	return words, nil
}

// A set holds words as hashes under a random seed: a fifth of the memory of
// the words, and a false match, which nobody can plan, refuses one password in
// 2^47.
type set map[uint64]struct{}

var seed = maphash.MakeSeed()

func (s set) add(word string) { s[maphash.String(seed, word)] = struct{}{} }

func (s set) has(word string) bool {
	_, ok := s[maphash.String(seed, word)]
	return ok
}
