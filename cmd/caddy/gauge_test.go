package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// A gauge reads what the running program uses of the machine.
type gauge struct {
	w    *world
	idle reading

	stop chan struct{}
	done sync.WaitGroup
	mu   sync.Mutex
	peak int // anonymous memory, KiB
}

// A reading is what was in use at a moment. Memory is in KiB.
type reading struct {
	Anonymous   int // heap and stacks
	Resident    int // with what is mapped of files
	Descriptors int
	Goroutines  int
	Store       int64 // bytes of the file
}

// gauge takes what is in use now for idle, and watches the memory until the end
// of the test: the kernel keeps no peak of what is anonymous.
func (w *world) gauge() *gauge {
	w.t.Helper()
	g := &gauge{w: w, idle: w.read(), stop: make(chan struct{})}
	status := w.status()
	g.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-g.stop:
				return
			case <-tick.C:
			}
			if b, err := os.ReadFile(status); err == nil {
				g.mu.Lock()
				g.peak = max(g.peak, kibibytes(b, "RssAnon"))
				g.mu.Unlock()
			}
		}
	})
	w.t.Cleanup(func() {
		close(g.stop)
		g.done.Wait()
	})
	return g
}

// highest returns the most memory in use so far, anonymous and in all.
func (g *gauge) highest() (anonymous, resident int) {
	g.w.t.Helper()
	b, err := os.ReadFile(g.w.status())
	if err != nil {
		g.w.t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.peak, kibibytes(b, "VmHWM")
}

func (w *world) status() string { return fmt.Sprintf("/proc/%d/status", w.process.Process.Pid) }

func (w *world) read() (r reading) {
	w.t.Helper()
	b, err := os.ReadFile(w.status())
	if err != nil {
		w.t.Skipf("no /proc: %v", err)
	}
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.process.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	total := regexp.MustCompile(`total (\d+)`).FindSubmatch(w.admin("/debug/pprof/goroutine?debug=1"))
	if total == nil {
		w.t.Fatal("the program does not tell its goroutines")
	}
	r = reading{Anonymous: kibibytes(b, "RssAnon"), Resident: kibibytes(b, "VmRSS"), Descriptors: len(fds), Store: w.storeFile().Size()}
	r.Goroutines, _ = strconv.Atoi(string(total[1]))
	return r
}

// storeFile tells how large the store is and when it was last written.
func (w *world) storeFile() os.FileInfo {
	w.t.Helper()
	info, err := os.Stat(filepath.Join(w.Home, storeDir, "reset.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	return info
}

// kibibytes reads a line such as "VmHWM:   12345 kB".
func kibibytes(status []byte, field string) int {
	m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}
