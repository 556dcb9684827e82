package embeddedstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

const installVariable = "EMBEDDEDSTORE_TEST_INSTALL"

// installHelper, in a process started by a test here, puts a copy in the place
// of a store.
func installHelper() {
	path := os.Getenv(installVariable)
	if path == "" {
		return
	}
	runtime.LockOSThread() // strace counts the calls of each thread by itself
	err := func() error {
		f, err := os.Open(path + ".backup")
		if err != nil {
			return err
		}
		c, err := embeddedstore.Receive(context.Background(), path, struct{ io.Reader }{f})
		if err != nil {
			return err
		}
		_, err = c.Install()
		return errors.Join(err, c.Discard())
	}()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func receive(t testing.TB, path string, data []byte) *embeddedstore.Copy {
	t.Helper()
	c, err := embeddedstore.Receive(t.Context(), path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Discard(); err != nil {
			t.Error(err)
		}
		alone(t, path)
	})
	return c
}

// A copy takes the place of the store, however often; each previous store is
// kept, and the number beside the store stays.
func TestInstall(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	mustPut(t, s, "a", "first")
	if err := s.SetGeneration(7); err != nil {
		t.Fatal(err)
	}
	copy := export(t, s)
	mustPut(t, s, "a", "second")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{path + ".before-restore", path + ".before-restore-2"} {
		c := receive(t, path, copy)
		var got []byte
		if err := c.View(t.Context(), func(r kv.Reader) (err error) { got, err = r.Get([]byte("a")); return err }); err != nil || string(got) != "first" {
			t.Errorf("View of the copy = %q, %v", got, err)
		}
		if kept, err := c.Install(); kept != want || err != nil {
			t.Fatalf("Install = %q, %v; want %q", kept, err, want)
		}
		wantMode(t, path, 0o600)
		s := open(t, path)
		if got := mustGet(t, s, "a"); got != "first" {
			t.Errorf("restore %d: %q", n, got)
		}
		if n, err := s.Generation(); n != 7 || err != nil {
			t.Errorf("generation %d, %v", n, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustGet(t, open(t, path+".before-restore"), "a"); got != "second" {
		t.Errorf("the previous store holds %q", got)
	}
}

func TestInstallUndone(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	mustPut(t, s, "a", "old")
	copy := export(t, openNew(t))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c := receive(t, path, copy)
	if _, err := c.Install(); err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(); err != nil {
		t.Fatal(err)
	}
	if got := mustGet(t, open(t, path), "a"); got != "old" {
		t.Errorf("the previous store holds %q", got)
	}
	if names, _ := filepath.Glob(path + ".before*"); len(names) != 0 {
		t.Errorf("%q were left behind", names)
	}
}

// On a new machine there is no store yet; one that was made meanwhile stays.
func TestInstallWithoutStore(t *testing.T) {
	source := openNew(t)
	mustPut(t, source, "a", "1")
	copy := export(t, source)
	path := newPath(t)
	c := receive(t, path, copy)
	if kept, err := c.Install(); kept != "" || err != nil {
		t.Fatalf("Install = %q, %v", kept, err)
	}
	if got := mustGet(t, open(t, path), "a"); got != "1" {
		t.Errorf("got %q", got)
	}

	c = receive(t, newPath(t), copy)
	if _, err := c.Install(); err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(); err != nil {
		t.Fatal(err)
	}
}

// A store that somebody has open is not replaced, whoever that is. One that is
// damaged or empty is: that is when a copy is needed.
func TestInstallInUse(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	mustPut(t, s, "a", "old")
	c := receive(t, path, export(t, openNew(t)))
	if _, err := c.Install(); !errors.Is(err, embeddedstore.ErrInUse) {
		t.Fatalf("Install = %v; want ErrInUse", err)
	}
	mustPut(t, s, "a", "new")
	for name, content := range map[string]string{"empty": "", "text": "not a store"} {
		t.Run(name, func(t *testing.T) {
			path := write(t, []byte(content))
			c := receive(t, path, export(t, openNew(t)))
			kept, err := c.Install()
			if err != nil {
				t.Fatal(err)
			}
			open(t, path)
			if data, err := os.ReadFile(kept); err != nil || string(data) != content {
				t.Errorf("kept %q, %v", data, err)
			}
		})
	}
}

// What is no store, not all of one or a faulty one is refused, and nothing stays
// of it.
func TestReceiveBadCopy(t *testing.T) {
	good := filled(t)
	bad := map[string][]byte{
		"empty":     {},
		"text":      []byte(strings.Repeat("not a database\n", 100_000)),
		"zeros":     make([]byte, 1<<20),
		"one byte":  good[:1],
		"one page":  good[:4096],
		"two pages": good[:8192],
	}
	chance := rand.New(rand.NewPCG(1, 2))
	need := int(pagesOf(t, write(t, good))) * 4096
	for range 50 {
		n := chance.IntN(need)
		refuseCopy(t, n, good[:n])
	}
	for name, data := range bad {
		refuseCopy(t, name, data)
	}
	for _, damage := range damages {
		data := bytes.Clone(good)
		page, at := rootPage(t, write(t, good))
		damage.do(page)
		copy(data[at:], page)
		refuseCopy(t, damage.name, data)
	}

	// A page that is in use and free would be written over.
	data := bytes.Clone(good)
	_, used := rootPage(t, write(t, good))
	for at := 2 * 4096; at < len(data); at += 4096 {
		if binary.NativeEndian.Uint16(data[at+8:]) == 0x10 {
			binary.NativeEndian.PutUint64(data[at+16:], uint64(used/4096))
		}
	}
	refuseCopy(t, "page in use and free", data)
}

func refuseCopy(t *testing.T, what any, data []byte) {
	t.Helper()
	path := newPath(t)
	s := open(t, path)
	mustPut(t, s, "a", "1")
	_, err := embeddedstore.Receive(t.Context(), path, bytes.NewReader(data))
	if !errors.Is(err, embeddedstore.ErrDamaged) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v: Receive = %v; want ErrDamaged", what, err)
	}
	if got := mustGet(t, s, "a"); got != "1" {
		t.Errorf("%v: the store holds %q", what, got)
	}
	alone(t, path)
}

// A bit that has flipped is found, or has no effect: no row is lost by it, and
// only values may differ, which package sealed judges.
func TestReceiveFlippedBits(t *testing.T) {
	s := openNew(t)
	for i := range 300 {
		mustPut(t, s, key(i), strings.Repeat("v", 100))
	}
	good := export(t, s)
	chance := rand.New(rand.NewPCG(3, 4))
	path := newPath(t)
	found := 0
	for range 300 {
		data := bytes.Clone(good)
		bit := chance.IntN(8 * len(data))
		data[bit/8] ^= 1 << (bit % 8)
		c, err := embeddedstore.Receive(t.Context(), path, bytes.NewReader(data))
		if err != nil {
			found++
			continue
		}
		rows := 0
		err = c.View(t.Context(), func(r kv.Reader) error {
			all, err := r.Scan(nil, nil, 1000)
			rows = len(all)
			return err
		})
		if rows != 300 || err != nil {
			t.Errorf("bit %d: %d rows, %v", bit, rows, err)
		}
		if err := c.Discard(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of 300 flipped bits were found; the others are in values, keys and gaps", found)
	if found == 0 {
		t.Error("none was found")
	}
}

// The file of a store that was not in use is a copy too, though it may be longer
// than its pages; what follows a copy is not read.
func TestReceiveLonger(t *testing.T) {
	good := filled(t)
	rest := bytes.NewReader(append(bytes.Clone(good), make([]byte, 4<<20)...))
	c, err := embeddedstore.Receive(t.Context(), newPath(t), rest)
	if err != nil {
		t.Fatal(err)
	}
	if rest.Len() == 0 {
		t.Error("what follows the copy was read")
	}
	if err := c.Discard(); err != nil {
		t.Error(err)
	}
}

func TestReceiveContext(t *testing.T) {
	s := openNew(t)
	flood(t, s, 3000, 0)
	copy := export(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	path := newPath(t)
	rest := bytes.NewReader(copy[1<<20:])
	_, err := embeddedstore.Receive(ctx, path, io.MultiReader(bytes.NewReader(copy[:1<<20]), readerFunc(cancel), rest))
	if !errors.Is(err, context.Canceled) || rest.Len() == 0 {
		t.Errorf("Receive = %v with %d bytes not read; want context.Canceled before the end", err, rest.Len())
	}
	alone(t, path)
}

type readerFunc func()

func (f readerFunc) Read([]byte) (int, error) { f(); return 0, io.EOF }
