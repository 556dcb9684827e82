package embeddedstore_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/embeddedstore"
	"github.com/caddy-password-reset/caddy-password-reset/kv"
)

const (
	crashVariable = "EMBEDDEDSTORE_TEST_CRASH"
	crashWriters  = 8
)

// crashHelper, in a process started by TestKill, updates the store until it
// is killed. Each writer raises its own two rows together and then says so.
func crashHelper() {
	path := os.Getenv(crashVariable)
	if path == "" {
		return
	}
	s, err := embeddedstore.Open(context.Background(), embeddedstore.Options{Path: path})
	if err != nil {
		fmt.Println("fault:", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for w := range crashWriters {
		go func() {
			for n := 1; ; n++ {
				err := s.Update(context.Background(), func(tx kv.Tx) error {
					value := strconv.AppendInt(nil, int64(n), 10)
					if err := tx.Put(fmt.Appendf(nil, "a%d", w), value); err != nil {
						return err
					}
					return tx.Put(fmt.Appendf(nil, "z%d", w), value)
				})
				if err != nil {
					fmt.Println("fault:", err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Printf("%d %d\n", w, n)
				mu.Unlock()
			}
		}()
	}
	select {}
}

// What was acknowledged before kill -9 is there afterwards, and of each update
// all or nothing.
func TestKill(t *testing.T) { kill(t, func(path string) {}, true) }

// The same where the list of free pages is not in the file.
func TestKillWithoutList(t *testing.T) {
	kill(t, func(path string) {
		s := flooded(t, embeddedstore.Options{Path: path})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}, false)
}

func kill(t *testing.T, prepare func(path string), list bool) {
	for round := range 5 {
		path := newPath(t)
		prepare(path)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashVariable+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := map[int]int{}
		lines := bufio.NewScanner(out)
		for i, last := 0, 100+rand.IntN(400); lines.Scan(); i++ {
			var w, n int
			if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
				t.Errorf("helper: %s", lines.Text())
			} else {
				acknowledged[w] = n
			}
			if i == last {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
		if len(acknowledged) < crashWriters {
			t.Errorf("round %d: only %d writers got an answer", round, len(acknowledged))
		}
		if got := hasList(t, path); got != list {
			t.Errorf("round %d: list of free pages in the file: %t; want %t", round, got, list)
		}

		s := open(t, path)
		for w, n := range acknowledged {
			a, z := mustGet(t, s, fmt.Sprint("a", w)), mustGet(t, s, fmt.Sprint("z", w))
			if a != z {
				t.Errorf("round %d: half an update is stored: %s and %s", round, a, z)
			}
			if got, err := strconv.Atoi(a); err != nil || got < n {
				t.Errorf("round %d: %q is stored; %d was acknowledged", round, a, n)
			}
		}
	}
}
