package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// nobody is who the program runs as where root would be let do everything.
const nobody = 65534

// What the user that Caddy runs as may not do is an error that says so.
func TestTrialStoreForbidden(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "store out of the rights of its user")
	p := newPatient(t, len(forbidden)+1, (*patient).asNobody)
	for _, f := range forbidden {
		p.t.Logf("now: %s", f.name)
		p.end()
		p.alarms()
		heal := f.do(p)
		p.wakes()
		p.failsClosed(true)
		p.told(f.says...)
		heal()
		p.recovers()
		tr.Run()
	}
	if err := p.holds(); err != nil {
		tr.Violation("%v", err)
	}
}

var forbidden = []struct {
	name string
	do   func(*patient) (heal func())
	says []string
}{
	{"folder not writable", func(p *patient) func() { return p.mode(p.dir, 0o500) }, []string{"reset.db.generation", "permission denied", "must be writable"}},
	{"folder closed", func(p *patient) func() { return p.mode(p.dir, 0o000) }, []string{"reset.db", "permission denied", "must be writable"}},
	{"store not writable", func(p *patient) func() { return p.mode(p.file, 0o400) }, []string{"reset.db", "permission denied", "must be writable"}},
	{"key not readable", func(p *patient) func() { return p.mode(filepath.Join(p.dir, "reset.key"), 0o000) }, []string{"reset.key", "permission denied"}},
}

// mode changes the mode of a file until heal is called.
func (p *patient) mode(path string, mode fs.FileMode) (heal func()) {
	p.t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return func() {
		if err := os.Chmod(path, info.Mode().Perm()); err != nil {
			p.t.Fatal(err)
		}
	}
}

// asNobody runs the program without the rights of root, if the test has them.
func (p *patient) asNobody() {
	p.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	setpriv := need(p.t, "setpriv", "util-linux")
	p.Wrap = []string{setpriv, fmt.Sprintf("--reuid=%d", nobody), fmt.Sprintf("--regid=%d", nobody), "--clear-groups"}
	for path, mode := range map[string]fs.FileMode{filepath.Dir(binary(p.t)): 0o755, p.Home: 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			p.t.Fatal(err)
		}
	}
	err := filepath.WalkDir(p.Home, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, nobody, nobody)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// A full disk takes some requests and not others, as pages of the store are
// free: what it takes is mailed, and when there is room again, so is the rest.
// And a disk that is full, or read-only, at the start is an error like others.
func TestTrialFullDisk(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "file system full or read-only")
	asks := tr.Size(40, 400)
	p := newPatient(t, asks+8, (*patient).onSmallDisk)
	p.patience = 4 * time.Minute // at night, for all of them
	p.mail(p.people[0].Email, 1)
	ballast := filepath.Join(p.dir, "ballast")
	p.fill(ballast)
	p.alarms()
	refused := 0
	for range asks {
		if !p.asksOnce() {
			refused++
			if refused == 1 { // it is told again after some time
				p.until("there is an alarm", func() bool { return strings.Contains(p.log.String()[p.read:], `"alarm":true`) })
				p.told("reset.db", "no space left on device", "free some space")
			}
		}
		tr.Run()
	}
	if refused == 0 {
		t.Error("the disk was never full")
	}
	p.alarms()
	p.remove(ballast)
	p.recovers()
	tr.Figures(fmt.Sprintf("%d of %d requests refused on a full disk", refused, asks))

	p.end()
	p.fill(ballast)
	p.wakes()
	p.failsClosed(true)
	p.told("reset.db", "no space left on device", "free some space")
	p.remove(ballast)
	p.recovers()

	p.end()
	p.remount(syscall.MS_RDONLY)
	p.wakes()
	p.failsClosed(true)
	p.told("reset.db", "read-only file system", "make its file system writable")
	p.remount(0)
	p.recovers()
	p.uncertain()
	if err := p.holds(); err != nil {
		tr.Violation("%v", err)
	}
}

const smallDisk = "size=8m,mode=0700"

// onSmallDisk puts the folder of the store on a file system of 8 MB.
func (p *patient) onSmallDisk() {
	p.t.Helper()
	if os.Getuid() != 0 {
		p.t.Skip("only root may mount; the limit for the size of files is tried without")
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Mount("none", p.dir, "tmpfs", 0, smallDisk); err != nil {
		p.t.Skipf("mounting is not allowed here: %v", err)
	}
	p.t.Cleanup(func() { _ = syscall.Unmount(p.dir, syscall.MNT_DETACH) })
}

func (p *patient) remount(flags uintptr) {
	p.t.Helper()
	if err := syscall.Mount("none", p.dir, "tmpfs", syscall.MS_REMOUNT|flags, smallDisk); err != nil {
		p.t.Fatal(err)
	}
}

// fill writes to a file until nothing more fits on its disk.
func (p *patient) fill(path string) {
	p.t.Helper()
	f, err := os.Create(path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
}

func (p *patient) remove(path string) {
	p.t.Helper()
	if err := os.Remove(path); err != nil {
		p.t.Fatal(err)
	}
}
