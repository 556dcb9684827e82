package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// A store that goes away, or that cannot be written any more, while the
// program runs fails closed; the operator is told once; and when it is well
// again, so is the program, without a restart.
func TestTrialStoreLostWhileRunning(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "store lost while the program runs")
	rounds := tr.Size(1, 6)
	p := newPatient(t, rounds*len(runFaults)+1)
	// A mail whose lease was stored, and nothing after it, is sent when the
	// lease has ended. At night they are waited for.
	p.patience = 4 * time.Minute
	for round := range rounds {
		for _, f := range runFaults {
			p.t.Logf("now: %s", f.name)
			if round%2 == 0 {
				p.mail(p.people[p.asks-1].Email, 1)
			}
			p.alarms()
			heal := f.do(p)
			if heal == nil {
				continue
			}
			p.failsClosed(false)
			if round == 0 { // within a minute it is not told again
				p.told(f.says...)
			}
			heal()
			p.uncertain() // what the system has refused to do left answers in doubt
			p.recovers()
			tr.Run()
		}
	}
	if err := p.holds(); err != nil {
		tr.Violation("%v", err)
	}
}

// Each returns what ends the fault, or nil if it cannot be made here.
var runFaults = []struct {
	name string
	do   func(*patient) (heal func())
	says []string
}{
	{"moved away", func(p *patient) func() {
		p.rename(p.file, p.file+".away")
		return func() { p.rename(p.file+".away", p.file) }
	}, []string{"reset.db", "no longer at its path", "put it back"}},
	{"another store in its place", func(p *patient) func() {
		p.rename(p.file, p.file+".away")
		p.put("reset.db", p.content()["reset.db.away"])
		return func() { p.rename(p.file+".away", p.file) }
	}, []string{"reset.db", "another file", "restart to use that one"}},
	{"file size limit", func(p *patient) func() {
		p.limitFiles("0")
		return func() { p.limitFiles("unlimited") }
	}, []string{"reset.db", "file too large", "raise the limit"}},
	// A system makes a file system read-only by itself when its disk fails; it
	// refuses to do so on demand while a file is open.
	{"read-only file system", func(p *patient) func() { return p.inject("pwrite64:error=EROFS") }, []string{"reset.db", "read-only", "writable"}},
	{"full disk", func(p *patient) func() { return p.inject("pwrite64:error=ENOSPC") }, []string{"reset.db", "no space left", "free some space"}},
	{"disk that does not write", func(p *patient) func() { return p.inject("pwrite64:error=EIO") }, []string{"reset.db", "input/output error", "the disk may be failing"}},
	{"disk that does not sync", func(p *patient) func() { return p.inject("fdatasync:error=EIO") }, []string{"reset.db", "input/output error", "the disk may be failing"}},
}

func (p *patient) rename(from, to string) {
	p.t.Helper()
	if err := os.Rename(from, to); err != nil {
		p.t.Fatal(err)
	}
}

// limitFiles sets how long files of the program may be.
func (p *patient) limitFiles(size string) {
	p.t.Helper()
	prlimit := need(p.t, "prlimit", "util-linux")
	if out, err := exec.Command(prlimit, fmt.Sprintf("--pid=%d", p.process.Process.Pid), "--fsize="+size+":").CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
}

// inject has a system call of the running program fail until heal is called.
func (p *patient) inject(fault string) (heal func()) {
	p.t.Helper()
	strace := need(p.t, "strace", "strace")
	call, _, _ := strings.Cut(fault, ":")
	pid := p.process.Process.Pid
	c := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-p", fmt.Sprint(pid), "-e", "trace="+call, "-e", "inject="+fault)
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(ended)
	}()
	heal = func() {
		_ = c.Process.Signal(syscall.SIGINT)
		<-ended
	}
	p.t.Cleanup(heal)
	attached := true
	p.until("strace has the program", func() bool {
		select {
		case <-ended:
			attached = false
			return true
		default:
			return traced(pid, c.Process.Pid)
		}
	})
	if !attached {
		p.t.Log("not made: a running program cannot be traced here")
		return nil
	}
	return heal
}

// traced reports whether all threads of a process have the tracer.
func traced(pid, tracer int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, name := range threads {
		status, err := os.ReadFile(name)
		if err == nil && !strings.Contains(string(status), fmt.Sprintf("TracerPid:\t%d\n", tracer)) {
			return false
		}
	}
	return err == nil && len(threads) > 0
}
