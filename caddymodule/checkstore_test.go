package caddymodule_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

const (
	keyA = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
	keyB = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
)

// usedStore lets Caddy make the store and use it, and stops it.
func (w *way) usedStore() {
	w.t.Helper()
	w.load()
	w.stop()
	until(w.t, "the store is closed", func() bool { return openFiles(w.t, w.store) == 0 })
}

// Each thing that is wrong with the store or its key, where no Caddy runs.
func TestCheckStore(t *testing.T) {
	const part = "store"
	w := newWay(t)
	w.running, w.showsOnlyPart = false, true
	n := 0
	// on has each case begin with a folder of its own, made by change.
	on := func(change func(w *way, file string)) func(*way) {
		return func(w *way) {
			n++
			dir := w.path(strings.Repeat("d", n))
			must(w.t, os.Mkdir(dir, 0o700))
			w.world.dir, w.store = dir, filepath.Join(dir, "reset.db")
			change(w, w.store)
		}
	}
	used := func(change func(w *way, file string)) func(*way) {
		return on(func(w *way, file string) {
			w.usedStore()
			change(w, file)
		})
	}
	write := func(text string) func(*way, string) {
		return func(w *way, file string) { must(w.t, os.WriteFile(file, []byte(text), 0o600)) }
	}
	try(t, w, []misconfiguration{
		{"folder is a file", on(func(w *way, file string) {
			write("")(w, file)
			w.store = file + "/x/reset.db"
		}), part, "file", true, "DIR/reset.db is a file, so the store cannot be made in it", "`store bbolt PATH`"},
		{"store is a folder", on(func(w *way, file string) { must(w.t, os.Mkdir(file, 0o700)) }), part, "open", true, "it is not a file", "name the file itself"},
		{"link to nothing", on(func(w *way, file string) { must(w.t, os.Symlink("/nonexistent/reset.db", file)) }), part, "file", true, "is a link to /nonexistent/reset.db, which is not there", "put that file back"},
		{"empty", on(write("")), part, "open", true, "the store is damaged: the file is empty", "caddy password-reset restore FILE"},
		{"another file", on(write(strings.Repeat("no store", 10_000))), part, "open", true, "the store is damaged: ", "caddy password-reset restore FILE"},
		{"cut off", used(func(w *way, file string) { must(w.t, os.Truncate(file, 8192)) }), part, "open", true, "the store is damaged: ", "caddy password-reset restore FILE"},
		{"key does not fit", on(func(w *way, _ string) {
			w.key = "key " + keyA
			w.usedStore()
			w.key = "key " + keyB
		}), part, "open", true, "no `key` fits the store", "as another `key`, below the newer ones"},
		{"key of another store", used(func(w *way, file string) {
			must(w.t, os.WriteFile(filepath.Dir(file)+"/reset.key", []byte(keyB+"\n"), 0o600))
		}), part, "open", true, "the key in DIR/reset.key does not fit", "put the key file back that belongs to this store"},
		{"key file missing", used(func(w *way, file string) { must(w.t, os.Remove(filepath.Dir(file)+"/reset.key")) }), part, "open", true, "its key file DIR/reset.key is missing", "from a backup"},
		{"key file for others", used(func(w *way, file string) { must(w.t, os.Chmod(filepath.Dir(file)+"/reset.key", 0o644)) }), part, "open", true, "the key file DIR/reset.key: others may use it (mode -rw-r--r--)", "run chmod 600 on it"},
		{"key file for others, before the first start", on(func(w *way, file string) {
			must(w.t, os.WriteFile(filepath.Dir(file)+"/reset.key", []byte(keyB+"\n"), 0o644))
		}), part, "file", true, "the key file DIR/reset.key: others may use it", "run chmod 600 on it"},
		{"no key in its file", used(beside("reset.key", "not a key")), part, "open", true, "the key file DIR/reset.key: key is not base64", "openssl rand -base64 32"},
		{"no number beside it", used(beside("reset.db.generation", "seven")), part, "open", true, "reset.db.generation holds no number", "if the store beside it is not an old copy, delete this file"},
		{"record of its keys damaged", used(func(w *way, file string) {
			s, err := embeddedstore.Open(w.t.Context(), embeddedstore.Options{Path: file})
			must(w.t, err)
			must(w.t, errors.Join(cutFirst(w.t, s), s.Close()))
		}), part, "open", true, "the record that holds the store's own keys is missing or damaged", "caddy password-reset restore FILE"},
		{"in use", used(func(w *way, file string) {
			s, err := embeddedstore.Open(w.t.Context(), embeddedstore.Options{Path: file})
			must(w.t, err)
			w.t.Cleanup(func() { must(w.t, s.Close()) })
			w.briefly()
		}), part, "open", true, "another process has the store open", "give each a `store` of its own"},
	})
	if os.Geteuid() != 0 {
		return
	}
	try(t, w, []misconfiguration{{"of somebody else", used(func(w *way, file string) { must(w.t, os.Chown(file, 65534, -1)) }), part, "file", false, "belongs to the user with id 65534, and was not opened", "sudo -u '#65534' caddy password-reset check"}})
}

// cutFirst leaves ten bytes of the first row of a store, which holds its keys.
func cutFirst(t testing.TB, s kv.Store) error {
	var rows []kv.Pair
	err := s.View(t.Context(), func(r kv.Reader) (err error) {
		rows, err = r.Scan(nil, nil, 1)
		return err
	})
	if err != nil || len(rows) == 0 {
		return fmt.Errorf("%d rows: %w", len(rows), err)
	}
	return s.Update(t.Context(), func(tx kv.Tx) error { return tx.Put(rows[0].Key, rows[0].Value[:10]) })
}

// A folder or a store that the user who checks may not use is named, with who should
// check. Root may use all, so it becomes somebody else for that.
func TestCheckStoreAsSomebodyElse(t *testing.T) {
	w := newWay(t)
	w.from = "support@example.com" // of which no resolver is asked
	w.usedStore()
	must(t, os.Chmod(w.dir, 0o755))
	must(t, os.Mkdir(w.path("mine"), 0o555))
	must(t, os.Mkdir(w.path("closed"), 0o700))
	other := *w
	other.store = w.path("mine/new/reset.db")
	hidden := *w
	hidden.store = w.path("closed/reset.db")
	// What runs is this program, and begins beside a copy of the example.
	program := w.path("caddy")
	text, err := os.ReadFile(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(program, text, 0o755))
	must(t, os.Mkdir(w.path("run"), 0o755))
	text, err = os.ReadFile("../Caddyfile.example")
	must(t, err)
	must(t, os.WriteFile(w.path("Caddyfile.example"), text, 0o644))
	text, err = os.ReadFile(w.ca.file)
	must(t, err)
	must(t, os.WriteFile(w.path("ca.pem"), text, 0o644))
	for _, tt := range []struct {
		name string
		way  *way
		root bool // tells only root's files apart
		want string
	}{
		{"folder", &other, false, "FAIL  store            file: the user that runs the check may not write to the folder " + w.path("mine") + ", so the store cannot be made there\n" +
			"                         → run the check as the user that Caddy runs as; if it is that one, let it own the folder\n"},
		{"hidden", &hidden, true, "FAIL  store            file: the file " + hidden.store + " cannot be looked at: permission denied\n" +
			"                         → run the check as the user that Caddy runs as, and let that user enter each folder above the file\n"},
		{"store", w, true, "note  store            file: " + w.store + "; it belongs to the user with id 0, and was not opened: files would be left that Caddy cannot use\n" +
			"                         → run the check as that user: sudo -u '#0' caddy password-reset check …"},
	} {
		root := os.Geteuid() == 0
		if tt.root && !root {
			continue
		}
		file := w.path("Caddyfile." + tt.name)
		text := strings.ReplaceAll(strings.ReplaceAll(tt.way.caddyfile(), w.ca.file, w.path("ca.pem")), w.path("log"), w.path("run/log"))
		must(t, os.WriteFile(file, []byte(text), 0o644))
		cmd := caddyCommand(t, w.path("run"), "password-reset", "check", "--config", file)
		cmd.Path, cmd.Dir = program, w.path("run")
		cmd.Env = append(cmd.Env, "CADDY_ADMIN=unix/"+w.path("nobody.sock"))
		if root {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, _ := cmd.CombinedOutput() // TestCheckStatus holds with which status it ends
		if !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, out, tt.want)
		}
	}
}

// beside writes a file beside the store.
func beside(name, text string) func(*way, string) {
	return func(w *way, file string) {
		must(w.t, os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(text), 0o600))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a check finds right in a store that no Caddy has open.
func TestCheckStoreFine(t *testing.T) {
	w := newWay(t)
	w.running = false
	says := func() string {
		t.Helper()
		for _, f := range w.check() {
			if f.Part == "store" {
				if f.Problem != "" {
					t.Errorf("%+v", f)
				}
				return f.Step + ": " + f.Seen
			}
		}
		return ""
	}
	w.store = w.path("new/folder/reset.db")
	if got, want := says(), "file: "+w.store+" will be made when Caddy first runs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.store = w.path("reset.db")
	w.key = "key " + keyA
	w.usedStore()
	w.key = "key " + keyB + "\n key " + keyA
	if got, want := says(), "open: "+w.store; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	w.inUse = "bbolt:" + w.store
	if got, want := says(), "open: "+w.store+", by the Caddy that runs"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
