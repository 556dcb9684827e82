package passwords

import "unicode/utf8"

// The rows of a keyboard, each row half a key to the right of the one above.
// Only the neighbourhood of keys matters, so that the layouts of most Latin
// keyboards are close enough.
var rows = [...]string{"1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"}

// shifted holds what the keys of the first row give with the shift key.
const shifted = "!@#$%^&*()_+"

// A key has its place on the keyboard, rows counted from 1, and what it gives
// without the shift key. Row 0 is not on the keyboard.
type key struct {
	row, column int
	plain       rune
}

var keys = func() (table [utf8.RuneSelf]key) {
	for i, row := range rows {
		for j, r := range row {
			table[r] = key{row: i + 1, column: j, plain: r}
		}
	}
	for j, r := range shifted {
		table[r] = table[rows[0][j]]
	}
	return table
}()

// leet holds pairs of a sign and the letter that it is written for.
const leet = "@a4a3e1i!i0o$s5s7t"

// mostSigns is how many of them in a row are still read as letters: a longer
// row is a number.
const mostSigns = 3

// How many characters make a run, or a walk on the keyboard: with less, random
// passwords would have too many of them.
const (
	shortestRun  = 3
	shortestWalk = 4
)

// steps measures how much of rs is its own: a repeated character, a run along
// alphabet or digits ("cdefg", "97531", "890123") and a walk over
// neighbouring keys ("1qaz", "asdfgh") count as one, every other character
// counts for itself. It takes linear time.
func steps(rs []rune) int {
	typed := make([]rune, 0, len(rs))
	for _, r := range rs {
		if r < utf8.RuneSelf && keys[r].row > 0 {
			r = keys[r].plain
		}
		if len(typed) == 0 || typed[len(typed)-1] != r {
			typed = append(typed, r)
		}
	}
	n := 0
	for i := 0; i < len(typed); n++ {
		run, path := sequence(typed[i:]), walk(typed[i:])
		switch {
		case path >= shortestWalk:
			i += max(path, run)
		case run >= shortestRun:
			i += run
		default:
			i++
		}
	}
	return n
}

// sequence returns how many characters at the start of rs follow each other
// at one distance, up to 3 to either side: 3 is the distance in the columns of
// a numeric keypad.
func sequence(rs []rune) int {
	if len(rs) < shortestRun {
		return len(rs)
	}
	d := distance(rs[0], rs[1])
	if d == 0 {
		return 1
	}
	n := 2
	for n < len(rs) && distance(rs[n-1], rs[n]) == d {
		n++
	}
	return n
}

// distance is how far b is from a in their alphabet, where the end joins the
// start, or 0 if that is more than 3 either way.
func distance(a, b rune) int {
	d, size := int(b)-int(a), 0
	switch {
	case '0' <= a && a <= '9' && '0' <= b && b <= '9':
		size = 10
	case 'a' <= a && a <= 'z' && 'a' <= b && b <= 'z':
		size = 26
	case a < 0x80 || b < 0x80:
		return 0
	}
	if size > 0 && d > size/2 {
		d -= size
	} else if size > 0 && d < -size/2 {
		d += size
	}
	if d < -3 || d > 3 {
		return 0
	}
	return d
}

// walk returns how many characters at the start of rs lie beside each other
// on the keyboard.
func walk(rs []rune) int {
	n := 1
	for n < len(rs) && neighbours(rs[n-1], rs[n]) {
		n++
	}
	return n
}

func neighbours(a, b rune) bool {
	if a >= utf8.RuneSelf || b >= utf8.RuneSelf {
		return false
	}
	ka, kb := keys[a], keys[b]
	if ka.row == 0 || kb.row == 0 {
		return false
	}
	right := kb.column - ka.column
	switch kb.row - ka.row {
	case 0:
		return right == -1 || right == 1
	case 1:
		return right == -1 || right == 0
	case -1:
		return right == 0 || right == 1
	}
	return false
}

// period returns the length of the shortest prefix of rs whose repetition,
// cut at the end, is rs. It is len(rs) where nothing repeats. It takes linear
// time (Knuth, Morris, Pratt).
func period(rs []rune) int {
	border := make([]int, len(rs)+1) // longest proper border of each prefix
	k := 0
	for i := 1; i < len(rs); i++ {
		for k > 0 && rs[i] != rs[k] {
			k = border[k]
		}
		if rs[i] == rs[k] {
			k++
		}
		border[i+1] = k
	}
	return len(rs) - border[len(rs)]
}

// unleet puts letters for up to three signs between letters that are written
// for them: "p@ssw0rd1" becomes "password1". Signs at the ends are decoration
// and stay.
func unleet(s string) string {
	b := []byte(s)
	last := -1 // where the last letter was
	for i, c := range b {
		if c < 'a' || c > 'z' {
			continue
		}
		if gap := b[last+1 : i]; last >= 0 && 1 <= len(gap) && len(gap) <= mostSigns {
			unsign(gap)
		}
		last = i
	}
	return string(b)
}

// unsign replaces the signs in gap if all of them stand for a letter.
func unsign(gap []byte) {
	var letters [mostSigns]byte
	for i, c := range gap {
		for j := 0; j < len(leet); j += 2 {
			if leet[j] == c {
				letters[i] = leet[j+1]
			}
		}
		if letters[i] == 0 {
			return
		}
	}
	copy(gap, letters[:])
}
