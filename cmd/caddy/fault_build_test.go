package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// countable has the store make its system calls in two threads, the one that
// opens it and the one that writes, and under names that are known before: who
// fails the n-th call on a path counts per thread, and in a program whose
// goroutines change threads would fail another one in each run.
var countable = []edit{
	{"embeddedstore/writer.go", "\t\"runtime/debug\"\n", "\t\"runtime\"\n\t\"runtime/debug\"\n"},
	{"embeddedstore/writer.go", "func (s *Store) write() {\n", "func (s *Store) write() {\n\truntime.LockOSThread()\n"},
	{"embeddedstore/file.go", `os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")`, `os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE, 0o600)`},
	{"kv/sealed/key.go", `os.CreateTemp(dir, filepath.Base(path)+".*.new")`, `os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)`},
}

// mainThread is added to a program, so that its main goroutine stays in the
// main thread.
const mainThread = "package main\n\nimport \"runtime\"\n\nfunc init() { runtime.LockOSThread() }\n"

// faultyCaddy returns the whole program, built once for all tests, in haste, for
// faults that come from outside of it and the panics in it.
func faultyCaddy(t testing.TB) string {
	t.Helper()
	path, err := buildFaultyCaddy()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildFaultyCaddy = sync.OnceValues(func() (string, error) {
	parent, err := buildDir()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, "faulty-")
	if err != nil {
		return "", err
	}
	return buildFaulty(dir, "cmd/caddy", slices.Concat(countable, plantedPanics())...)
})

// plantedPanics are the lines at which a panic may come.
func plantedPanics() (edits []edit) {
	for _, p := range panics {
		edits = append(edits, edit{p.file, p.before, fmt.Sprintf("\tplanted(%q, %s)\n%s", p.name, p.secret, p.before)})
	}
	return edits
}

// faulty builds a program of this module for one test.
func faulty(t testing.TB, program string, edits ...edit) string {
	t.Helper()
	path, err := buildFaulty(t.TempDir(), program, edits...)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func buildFaulty(dir, program string, edits ...edit) (string, error) {
	o, err := edited(dir, slices.Concat(haste, edits)...)
	if err != nil {
		return "", err
	}
	for _, p := range panics {
		dir := path.Dir(p.file)
		if err := o.Set(dir+"/planted.go", []byte("package "+dir+"\n"+plantedPanic)); err != nil {
			return "", err
		}
	}
	if err := o.Set(program+"/thread.go", []byte(mainThread)); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "program")
	return binary, buildEdited(o, binary, program)
}
