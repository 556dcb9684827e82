package directory_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-password-reset/caddy-password-reset/directory"
	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

const header = "id,login,email,name,locale\n"

func write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func lookup(tb testing.TB, d reset.Directory, login string) []reset.Account {
	tb.Helper()
	got, err := d.Lookup(context.Background(), login)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func ids(accounts []reset.Account) string {
	var s []string
	for _, a := range accounts {
		s = append(s, a.ID)
	}
	return strings.Join(s, " ")
}

func TestFileLookup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.csv")
	write(t, path, "\ufeffLogin, ID ,email,locale,name\r\n"+
		"alice,42,Alice@Example.com,en,\"Doe, Alice\"\r\n"+
		"bob, 43 , bob@example.com ,,\r\n"+
		"Bob,44,bob2@example.com,de,\r\n"+
		"carol@example.com,45,carol@example.com,,\r\n"+
		"carol2,46,carol@example.com,,\r\n"+
		"mike,47,mike@example.com,,\r\n"+
		"nomail,48,,,\r\n"+
		"badmail,49,nobody,,\r\n"+
		",50,,,\r\n"+
		"bob@example.com,51, ,,\r\n"+
		// What somebody chose when they signed up costs nobody else their mail.
		",52,alice@example.com,,\r\n"+
		"a\x00b,53,alice@example.com,,\r\n"+
		strings.Repeat("a", 255)+",54,alice@example.com,,\r\n"+
		"f1,1,f@example.com,,\r\nf2,2,f@example.com,,\r\nf3,3,f@example.com,,\r\n"+
		"G@example.com,9,,,\r\n"+
		"f4,4,f@example.com,,\r\nf5,5,f@example.com,,\r\nf6,6,F@example.com,,\r\n"+
		"g1,11,g@example.com,,\r\ng2,12,g@example.com,,\r\ng3,13,g@example.com,,\r\n"+
		"g4,14,g@example.com,,\r\ng5,15,g@example.com,,\r\n")
	var log bytes.Buffer
	d, err := directory.NewFile(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, login, want string }{
		{"login", "alice", "42"},
		{"email", "alice@example.com", "42"},
		{"email and a login without one", "bob@example.com", "43 51"},
		{"five before a login without one", "g@example.com", "11 12 13 14 15"},
		{"email in capitals", "ALICE@EXAMPLE.COM", "42"},
		{"two logins", "BOB", "43 44"},
		{"login is email", "carol@example.com", "45 46"},
		{"only five", "f@example.com", "1 2 3 4 5"},
		{"the sixth by its login", "f6", "6"},
		{"unknown", "dave", ""},
		{"empty", "", ""},
		{"Kelvin sign", "mi\u212ae", ""},
		{"no email", "nomail", "48"},
		{"no valid email", "badmail", ""},
		{"name", "Doe, Alice", ""},
		{"space", "alice ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(lookup(t, d, tt.login)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	want := []reset.Account{{ID: "42", Login: "alice", Email: "Alice@Example.com", Name: "Doe, Alice", Locale: "en"}}
	if diff := cmp.Diff(want, lookup(t, d, "alice")); diff != "" {
		t.Error(diff)
	}
	want = []reset.Account{{ID: "48", Login: "nomail"}}
	if diff := cmp.Diff(want, lookup(t, d, "nomail")); diff != "" {
		t.Error(diff)
	}
	for _, s := range []string{"accounts=20", "an email that is not valid", "rows=5 first_line=9", "found=5 rows=2 first_line=18"} {
		if !strings.Contains(log.String(), s) {
			t.Errorf("no %q in the log:\n%s", s, log.String())
		}
	}
	if strings.Contains(log.String(), "example.com") || strings.Contains(log.String(), "nomail") {
		t.Errorf("the log names somebody:\n%s", log.String())
	}
	// What a caller does with the accounts does not reach the next one.
	lookup(t, d, "bob")[0].Email = "evil@example.com"
	if got := lookup(t, d, "bob")[0].Email; got != "bob@example.com" {
		t.Errorf("got %s", got)
	}
}

func TestBrokenFiles(t *testing.T) {
	tests := []struct{ name, content, err string }{
		{"empty", "", "empty"},
		{"only a mark", "\ufeff", "empty"},
		{"no line end", header + "1,a,a@example.com,,\n2,b,b@example.co", "line 3: the last line has no line end"},
		{"no email column", "id,login\n", "line 1: column email is missing"},
		{"unknown column", "id,login,email,password_hash\n", "line 1: column 4 is unknown"},
		{"column twice", "id,login,email,Login\n", "line 1: column login stands there twice"},
		{"semicolons", "id;login;email\n", "commas"},
		{"tabs", "id\tlogin\temail\n", "commas"},
		{"no header", "1,alice,alice@example.com\n", "line 1: column 1 is unknown"},
		{"too few fields", header + "1,a,a@example.com,,\n2,b\n", "line 3: wrong number of fields"},
		{"too many fields", header + "1,a,a@example.com,,,\n", "line 2: wrong number of fields"},
		{"open quote", header + "1,a,a@example.com,\"A,\n2,b,b@example.com,,\n", "extraneous or missing"},
		{"stray quote", header + "1,a\"b,a@example.com,,\n", "line 2: bare"},
		{"id twice", header + "7,a,a@example.com,,\n8,b,b@example.com,,\n\n7,c,c@example.com,,\n", "line 5: id is that of line 2"},
		{"id twice, without address", header + "7,a,,,\n7,c,c@example.com,,\n", "line 3: id is that of line 2"},
		{"id twice, the second without address", header + "7,c,c@example.com,,\n7,a,,,\n", "line 3: id is that of line 2"},
		{"no id", header + ",a,a@example.com,,\n", "line 2: id is empty"},
		{"id too long", header + strings.Repeat("1", 129) + ",a,a@example.com,,\n", "line 2: id is empty"},
		{"no id and no address", header + ",a,,,\n", "line 2: id is empty"},
		{"Latin-1", header + "1,a,a@example.com,J\xfcrgen,\n", "line 2: not UTF-8"},
		{"line number after a field of two lines", header + "1,a,a@example.com,\"A\nB\",\n,b,b@example.com,,\n", "line 4: id is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "accounts.csv")
			write(t, path, tt.content)
			_, err := directory.NewFile(path, nil)
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v, want one with %q", err, tt.err)
			}
			if strings.Contains(err.Error(), "@example") || strings.Contains(err.Error(), "alice") {
				t.Errorf("the error names somebody: %v", err)
			}
		})
	}
}

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "no such file",
		dir:                           "not a regular file",
		fifo:                          "not a regular file",
	} {
		if _, err := directory.NewFile(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	path, next := filepath.Join(dir, "accounts.csv"), filepath.Join(dir, "next.csv")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		faults := func() int { return strings.Count(log.String(), "level=ERROR") }
		// The file system's clock is not the one of this test.
		put := func(path, content string, age time.Duration) {
			t.Helper()
			write(t, path, content)
			at := time.Now().Add(-age)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		put(path, header+"1,alice,alice@example.com,,\n", time.Hour)
		d, err := directory.NewFile(path, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		expect := func(when, alice, bob string) {
			t.Helper()
			if got := ids(lookup(t, d, "alice")); got != alice {
				t.Errorf("%s: alice is %q, want %q", when, got, alice)
			}
			if got := ids(lookup(t, d, "bob")); got != bob {
				t.Errorf("%s: bob is %q, want %q", when, got, bob)
			}
		}
		expect("at first", "1", "")

		put(next, header+"1,alice,alice@example.com,,\n2,bob,bob@example.com,,\n", time.Minute)
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		expect("within a second", "1", "")
		time.Sleep(time.Second)
		expect("after a second", "1", "2")

		put(path, header+"1,alice,alice@example.com,,\n2,bob\n", time.Minute)
		time.Sleep(time.Second)
		expect("broken", "1", "2")
		for range 3 {
			time.Sleep(time.Second)
			expect("still broken", "1", "2")
		}
		if faults() != 1 || !strings.Contains(log.String(), "line 3: wrong number of fields") {
			t.Errorf("%d faults in the log:\n%s", faults(), log.String())
		}

		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(time.Second)
			expect("removed", "1", "2")
		}
		if faults() != 2 {
			t.Errorf("%d faults in the log:\n%s", faults(), log.String())
		}

		put(path, header+"3,bob,bob@example.com,,\n", time.Minute)
		time.Sleep(time.Second)
		expect("mended", "", "3")

		// Two changes of one size at one time of the file system.
		put(path, header+"4,bob,bob@example.com,,\n", 0)
		time.Sleep(time.Second)
		expect("changed just now", "", "4")
		put(path, header+"5,bob,bob@example.com,,\n", time.Second)
		time.Sleep(time.Second)
		expect("changed again at the same time", "", "5")

		if n := strings.Count(log.String(), "directory file read"); n != 4 {
			t.Errorf("%d readings in the log:\n%s", n, log.String())
		}

		// The same fault in another file is another fault.
		for i := range 2 {
			put(path, header+"1\n", time.Duration(i+1)*time.Hour)
			time.Sleep(time.Second)
			expect("broken again", "", "5")
		}
		if faults() != 4 {
			t.Errorf("%d faults in the log:\n%s", faults(), log.String())
		}
	})
}

func TestLargeFile(t *testing.T) {
	const rows = 100_000
	path := filepath.Join(t.TempDir(), "accounts.csv")
	write(t, path, largeFile(rows))
	start := time.Now()
	d, err := directory.NewFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows read in %s", rows, time.Since(start))
	// Lookups go on while another one reads the file again.
	var lookups sync.WaitGroup
	for w := range 4 {
		lookups.Go(func() {
			for i := range 1000 {
				n := (i*97 + w*31) % rows
				if got, err := d.Lookup(context.Background(), fmt.Sprintf("USER%d@example.com", n)); err != nil || ids(got) != fmt.Sprint(n) {
					t.Errorf("got %v, %v", got, err)
					return
				}
			}
		})
	}
	lookups.Wait()
}

func largeFile(rows int) string {
	var b strings.Builder
	b.WriteString(header)
	for i := range rows {
		fmt.Fprintf(&b, "%d,user%d,user%d@example.com,User %d,en\n", i, i, i, i)
	}
	return b.String()
}

func BenchmarkReadFile(b *testing.B) {
	path := filepath.Join(b.TempDir(), "accounts.csv")
	write(b, path, largeFile(100_000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := directory.NewFile(path, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFileLookup(b *testing.B) {
	path := filepath.Join(b.TempDir(), "accounts.csv")
	write(b, path, largeFile(100_000))
	d, err := directory.NewFile(path, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		lookup(b, d, "USER4711@example.com")
	}
}
