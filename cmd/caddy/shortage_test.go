package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

// The kernel kills a program that needs more memory than there is.
func TestTrialOutOfMemory(t *testing.T) {
	t.Parallel()
	group, file := limitedGroup(t)
	tr := trial.New(t, "out of memory under load")
	s := newStory(newWorld(t), people(crowdOfKills), nil)
	s.Binary = faultyCaddy(t)
	s.Wrap = []string{"sh", "-c", `echo $$ >` + group + `/cgroup.procs && exec "$@"`, "sh"}
	if !s.begin() {
		t.Fatalf("the program does not start:\n%s", s.log)
	}
	s.bustle(func(person int) *rand.Rand { return tr.Rand(uint64(person)) }, time.Second, func() {
		s.leave()
		// Less than is in use and cannot be given back. The kernel first tries
		// to, and may refuse a limit that it cannot keep.
		for limit := 48; ; limit /= 2 {
			_ = os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(limit<<20)), 0)
			select {
			case <-s.exited:
				return
			case <-time.After(500 * time.Millisecond):
			}
			if limit < 2 {
				t.Skip("the kernel does not keep groups of processes to their memory")
			}
		}
	})
	s.crashed()
	if status, _ := s.process.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() {
		tr.Violation("the program ended with %v", s.process.ProcessState)
	}
	s.Wrap = nil
	if !s.begin() {
		t.Fatalf("the program does not start again:\n%s", s.log)
	}
	if err := s.holds(); err != nil {
		tr.Violation("%v", err)
	}
	tr.Run()
}

// limitedGroup makes a group of processes, and names the file that limits its
// memory, in version 1 of the kernel's interface or in version 2.
func limitedGroup(t *testing.T) (group, file string) {
	t.Helper()
	for _, at := range []struct{ dir, file string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		group, err := os.MkdirTemp(at.dir, "reset-")
		if err != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(group) })
		if _, err := os.Stat(filepath.Join(group, at.file)); err == nil {
			return group, at.file
		}
	}
	t.Skip("no group of processes with a limit of memory can be made")
	return "", ""
}

// A program that can open no more descriptors answers those who are connected,
// and everybody when there are some again.
func TestTrialDescriptors(t *testing.T) {
	t.Parallel()
	prlimit := need(t, "prlimit", "util-linux")
	tr := trial.New(t, "no descriptor is left")
	s := newStory(newWorld(t), people(3), nil)
	s.Binary = faultyCaddy(t)
	if !s.begin() {
		t.Fatalf("the program does not start:\n%s", s.log)
	}
	s.leave() // nobody new is served for a while
	k, err := s.keepalive(s.Site)
	if err != nil {
		t.Fatal(err)
	}
	defer k.close()
	limit := func(n string) {
		out, err := exec.Command(prlimit, "--pid", strconv.Itoa(s.process.Process.Pid), "--nofile="+n).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	ask := func() int {
		r, err := k.send(jsonAsk(s.people[0].Login).wire(s.Site))
		if err != nil {
			tr.Violation("somebody who is connected is not answered: %v", err)
		}
		return r.Status
	}
	open := func() []int {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.process.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		var numbers []int
		for _, f := range files {
			n, err := strconv.Atoi(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		return numbers
	}
	// The first mail gets the last descriptor for its connection: what is read
	// once, such as the certificates to trust, was read before.
	free := 0
	for _, n := range open() {
		if n == free {
			free++
		}
	}
	limit(strconv.Itoa(free+1) + ":20000")
	if got := ask(); got != http.StatusAccepted {
		t.Fatalf("a request is answered %d", got)
	}
	failed := 0
	s.until("a mail is tried", func() bool {
		log := s.log.String()
		if n := strings.Count(log, "too many open files"); n > failed {
			failed = n
			free++ // somebody else got it
			limit(strconv.Itoa(free+1) + ":20000")
		}
		return strings.Contains(log, "mail handed to the relay") || strings.Contains(log, "mail cannot be sent")
	})
	tr.Run()
	if strings.Contains(s.log.String(), "mail cannot be sent") {
		tr.Violation("the relay is not trusted")
		return
	}
	limit("64:20000")
	var crowd []net.Conn
	for range 128 {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.Site, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, c)
	}
	s.until("no descriptor is left", func() bool { return len(open()) >= 63 })
	for range 5 {
		if got := ask(); got != http.StatusAccepted && got != http.StatusServiceUnavailable {
			tr.Violation("without a descriptor a request is answered %d", got)
		}
		tr.Run()
	}
	for _, c := range crowd {
		c.Close()
	}
	s.until("the app's page is answered again", func() bool {
		r, err := s.try("GET", demo.LoginPath, "")
		return err == nil && r.Status == http.StatusOK
	})
	if err := s.holds(); err != nil {
		tr.Violation("%v", err)
	}
}
