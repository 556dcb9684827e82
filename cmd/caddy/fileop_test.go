package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/cmd/campaign/trial"
)

// fileOps are the system calls that the store and its key make on their files,
// and how a disk fails each.
var fileOps = []struct {
	call   string
	errors []string
}{
	{"pwrite64", []string{"EIO", "ENOSPC"}},
	{"fdatasync", []string{"EIO", "ENOSPC"}},
	{"fsync", []string{"EIO"}},
	{"ftruncate", []string{"ENOSPC", "EIO"}},
	{"mmap", []string{"ENOMEM"}},
	{"write", []string{"ENOSPC", "EIO"}},
	{"openat", []string{"EMFILE", "EIO"}},
	{"linkat", []string{"EIO", "EPERM"}},
	{"renameat", []string{"ENOSPC", "EIO"}},
	{"unlinkat", []string{"EIO"}},
	{"mkdirat", []string{"ENOSPC"}},
	{"flock", []string{"ENOLCK"}},
	{"newfstatat", []string{"EIO"}},
	{"pread64", []string{"EIO"}},
	{"read", []string{"EIO"}},
}

// faultPatience is how long people wait for what a failing disk owes them.
const faultPatience = 2 * time.Second

// A fileFault is one operation on a file that fails, or in which the program
// dies.
type fileFault struct {
	call    string
	failure string // the name of an error, or KILL
	n       int    // which one, counted in each thread; 0 for none
	forGood bool   // all that follow fail as well
	later   bool   // not in a program that makes its store, but in one that finds it, with work in it
}

func (f fileFault) String() string {
	return fmt.Sprintf("%s=%q", fileFaultVariable, fmt.Sprintf("%s %s %d %t %t", f.call, f.failure, f.n, f.forGood, f.later))
}

// fileFaultVariable names the one fault that a run is to repeat.
const fileFaultVariable = "FILE_FAULT"

func fileFaultFromEnvironment(t testing.TB) (f fileFault, ok bool) {
	text := os.Getenv(fileFaultVariable)
	if text == "" {
		return f, false
	}
	if _, err := fmt.Sscan(text, &f.call, &f.failure, &f.n, &f.forGood, &f.later); err != nil {
		t.Fatal(err)
	}
	return f, true
}

// inject returns the command under which a program meets the fault, on files of
// the store in dir only.
func (f fileFault) inject(strace, dir, trace string) []string {
	what, when := "error="+f.failure, fmt.Sprint(f.n)
	if f.failure == "KILL" {
		what = "signal=KILL"
	}
	if f.forGood {
		when += "+"
	}
	args := []string{strace, "-f", "--seccomp-bpf", "-qq", "-o", trace, "-e", "signal=none", "-e", "trace=" + f.call}
	if f.n > 0 {
		args = append(args, "-e", "inject="+f.call+":"+what+":when="+when)
	}
	for _, name := range []string{"", "reset.db", "reset.db.generation", "reset.key"} {
		args = append(args, "-P", filepath.Join(dir, name))
		if name != "" {
			args = append(args, "-P", filepath.Join(dir, name+".new"))
		}
	}
	return args
}

// A fileReport says what a run came to.
type fileReport struct {
	began   bool // the program has come up in spite of the fault
	killed  bool
	reached bool
	trace   string
	story   *story
	found   error
}

// meet has people go about their business on a disk that fails, gives the
// program a good one, and holds that nobody was lied to, nothing is lost and
// nobody is stuck.
func (f fileFault) meet(t testing.TB, strace, program string) fileReport {
	r := f.travel(t, strace, program)
	r.reached = r.killed || strings.Contains(r.trace, "INJECTED")
	s := r.story
	if !r.began && f.failure != "KILL" && !strings.Contains(s.log.String(), storeDir) {
		s.fault(fmt.Errorf("the program did not start and has not named its store:\n%s", s.log))
	}
	s.Wrap, s.patience = nil, time.Minute
	if !s.begin() {
		r.found = fmt.Errorf("the program does not start when the disk is well:\n%s", s.log)
		return r
	}
	r.found = s.holds()
	return r
}

// travel is the journey under the fault.
func (f fileFault) travel(t testing.TB, strace, program string) (r fileReport) {
	w := newWorld(t)
	w.Binary = program
	o := new(outage)
	s := newStory(w, people(3), o.wrap)
	r.story = s
	if f.later {
		if !s.begin() {
			t.Fatalf("the program does not start:\n%s", w.log)
		}
		newJourney(s, o).begun()
		s.crash()
		o.over()
	}
	home, err := filepath.EvalSymlinks(w.Home)
	if err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(w.Home, "trace")
	s.Wrap = f.inject(strace, filepath.Join(home, storeDir), trace)
	s.patience = faultPatience
	// A store that does not open is no reason for Caddy not to run.
	r.began = s.beginsWith(http.StatusOK, http.StatusServiceUnavailable)
	if r.began {
		newJourney(s, o).walk()
	}
	r.killed = s.wasKilled()
	o.over()
	s.uncertain() // what could not be stored is done again
	content, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	r.trace = string(content)
	return r
}

// Any operation on a file of the store fails, once or for good, or kills.
func TestTrialFileOps(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "a file operation of the store that fails, without Caddy")
	fileTrial(t, tr, faulty(t, "cmd/campaign/small", countable...), 16, tr.Size(15, 900))
}

// The same in the whole program, which goes on without a store.
func TestTrialFileOpsInCaddy(t *testing.T) {
	t.Parallel()
	tr := trial.New(t, "a file operation of the store that fails")
	fileTrial(t, tr, faultyCaddy(t), 4, tr.Size(3, 60))
}

// fileTrial lets n file operations fail, one run each.
func fileTrial(t *testing.T, tr *trial.Trial, program string, wide, n int) {
	strace := need(t, "strace", "strace")
	var faults []fileFault
	if f, ok := fileFaultFromEnvironment(t); ok {
		faults = []fileFault{f}
	} else {
		faults = chooseFileFaults(tr.Rand(0), n, fileSteps(t, strace, program))
	}
	reports := make([]fileReport, len(faults))
	beside(t, wide, len(faults), func(t testing.TB, n int) {
		reports[n] = faults[n].meet(t, strace, program)
		if err := reports[n].found; err != nil {
			t.Error(err)
		}
	}, func(n int, why string) {
		tr.Violation("to repeat this: %s go test -run '^%s$' .\n%s", faults[n], t.Name(), why)
	})
	reached, stopped, calls := 0, 0, make(map[string]bool)
	for n, r := range reports {
		tr.Run()
		calls[faults[n].call] = true
		if r.reached {
			reached++
		}
		if !r.began {
			stopped++
		}
	}
	if len(faults) > 1 && 3*reached < len(faults) {
		t.Errorf("only %d of %d runs came to a fault: most of them have tried nothing", reached, len(faults))
	}
	tr.Figures(fmt.Sprintf("%d system calls, %d faults met, %d of them before the start", len(calls), reached, stopped))
}

// fileSteps counts how often a journey makes each call on a file of the store,
// in the thread that makes it most often: in a new store, and in one that is
// there.
func fileSteps(t *testing.T, strace, program string) (steps [2]map[string]int) {
	var names []string
	for _, op := range fileOps {
		names = append(names, op.call)
	}
	var traces [2]string
	beside(t, 2, 2, func(t testing.TB, later int) {
		f := fileFault{call: strings.Join(names, ","), later: later == 1}
		traces[later] = f.travel(t, strace, program).trace
	}, func(_ int, why string) { t.Fatalf("without a fault: %s", why) })
	for later, trace := range traces {
		threads := make(map[string]map[string]int)
		steps[later] = make(map[string]int)
		for line := range strings.Lines(trace) {
			thread, rest, _ := strings.Cut(line, " ")
			call, _, _ := strings.Cut(strings.TrimSpace(rest), "(")
			if threads[thread] == nil {
				threads[thread] = make(map[string]int)
			}
			threads[thread][call]++
			steps[later][call] = max(steps[later][call], threads[thread][call])
		}
	}
	return steps
}

// chooseFileFaults returns n faults, as many of each call as there are: a store
// is written more often than it is made, and each of both has to be tried.
func chooseFileFaults(chance *rand.Rand, n int, steps [2]map[string]int) (chosen []fileFault) {
	byCall := make([][]fileFault, len(fileOps))
	for i, op := range fileOps {
		for later := range steps {
			for number := range steps[later][op.call] {
				f := fileFault{call: op.call, failure: op.errors[number%len(op.errors)], n: number + 1, later: later == 1}
				forGood, killed := f, f
				forGood.forGood, killed.failure = true, "KILL"
				byCall[i] = append(byCall[i], f, forGood, killed)
			}
		}
		all := byCall[i]
		chance.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	}
	chance.Shuffle(len(byCall), func(a, b int) { byCall[a], byCall[b] = byCall[b], byCall[a] })
	for left := true; left; {
		left = false
		for i, of := range byCall {
			if len(of) > 0 && len(chosen) < n {
				chosen, byCall[i], left = append(chosen, of[0]), of[1:], true
			}
		}
	}
	return chosen
}
