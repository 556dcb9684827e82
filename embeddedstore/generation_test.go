package embeddedstore_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestGeneration(t *testing.T) {
	s := openNew(t)
	if n, err := s.Generation(); n != 0 || err != nil {
		t.Errorf("Generation without a file = %d, %v; want 0", n, err)
	}
	for _, want := range []uint64{1, 2, 1<<64 - 1, 3} {
		if err := s.SetGeneration(want); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Generation(); n != want || err != nil {
			t.Errorf("Generation = %d, %v; want %d", n, err, want)
		}
	}
	wantMode(t, s.Path()+".generation", 0o600)
	entries, err := os.ReadDir(filepath.Dir(s.Path()))
	if err != nil || len(entries) != 2 {
		t.Errorf("the directory holds %v, %v; want the store and its generation", entries, err)
	}
}

func TestGenerationDamaged(t *testing.T) {
	s := openNew(t)
	for _, text := range []string{"", "\n", "-1", "x", "18446744073709551616", "1 2", "12", "012\n", "12\n\n"} {
		if err := os.WriteFile(s.Path()+".generation", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Generation(); err == nil || !strings.Contains(err.Error(), "delete") {
			t.Errorf("Generation of %q = %v; want an error with a remedy", text, err)
		}
	}
}

// FuzzGeneration holds that the file beside the store says one number or none:
// what is half a number must not pass for a smaller one, which would hide that
// an older copy was put back.
func FuzzGeneration(f *testing.F) {
	for _, s := range []string{"7\n", "7", "", "\n", "18446744073709551615\n", "18446744073709551616", "-1", "+1", "0x1", "1_000", " 1", "1\n\n", "1\r\n", "٣"} {
		f.Add([]byte(s))
	}
	s := openNew(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(s.Path()+".generation", text, 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := s.Generation()
		if err != nil {
			if n != 0 || !strings.Contains(err.Error(), "delete") {
				t.Errorf("%q is read as %d, %v", text, n, err)
			}
			return
		}
		if string(text) != strconv.FormatUint(n, 10)+"\n" {
			t.Errorf("%q is read as %d", text, n)
		}
	})
}
