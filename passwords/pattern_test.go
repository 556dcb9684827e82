package passwords

import "testing"

func TestSteps(t *testing.T) {
	for s, want := range map[string]int{
		"":           0,
		"a":          1,
		"aaaa":       1,
		"ab":         2,
		"abc":        1,
		"cba":        1,
		"xyzab":      1,
		"0123":       1,
		"8901":       1,
		"147":        1,
		"1470":       1,
		"acegik":     1,
		"aei":        3,
		"qwerty":     1,
		"1qaz":       1,
		"1qaz2wsx":   2,
		"!@#$":       1,
		"aabbcc":     1,
		"a1":         2,
		"z[":         2,
		"{|}":        3,
		"абв":        1,
		"wer":        3,
		"qvmtzrklp":  9,
		"kq7!xkq7!x": 10,
	} {
		if got := steps([]rune(s)); got != want {
			t.Errorf("steps(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestPeriod(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "a": 1, "aa": 1, "ab": 2, "abab": 2, "ababa": 2, "abcab": 3, "aabaaab": 4, "abcd": 4,
	} {
		if got := period([]rune(s)); got != want {
			t.Errorf("period(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestUnleet(t *testing.T) {
	for s, want := range map[string]string{
		"":           "",
		"p@ssw0rd":   "password",
		"p@$$w0rd1":  "password1",
		"pa$$word":   "password",
		"@lice":      "@lice",
		"al1ce":      "alice",
		"alice1":     "alice1",
		"h3ll0 th3r": "hell0 ther",
		"a2b":        "a2b",
		"a1111b":     "a1111b",
		"é0é":        "é0é",
	} {
		if got := unleet(s); got != want {
			t.Errorf("unleet(%q) = %q, want %q", s, got, want)
		}
	}
}
