package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A server is a Caddy under test, in a process and a home of its own.
type server struct {
	*usage
	home, addr string
	admin      string        // address of its profiles, or "off"
	began      time.Duration // from its start to its first answer
	command    *exec.Cmd
}

// startTime bounds how long a server may take to answer.
const startTime = 2 * time.Minute

// launch starts a program with a Caddyfile. In it, {home} and {addr} stand for
// the folder and the address of the server, which is all that is written to.
func launch(ctx context.Context, program, home, caddyfile string, profiled bool) (*server, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	admin := "off"
	if profiled {
		if admin, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(home, "Caddyfile")
	if err := os.WriteFile(config, []byte(fill(caddyfile, home, addr, admin)), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(home, "output"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s := &server{home: home, addr: addr, admin: admin}
	s.command = exec.CommandContext(ctx, program, "run", "--config", config)
	s.command.Env = append(os.Environ(), "RESET_WEBHOOK_SECRET="+secret, "HOME="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home)
	s.command.Stdout, s.command.Stderr = log, log
	s.command.Cancel = func() error { return s.command.Process.Signal(syscall.SIGTERM) }
	begun := time.Now()
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	s.usage = &usage{pid: s.command.Process.Pid}
	for time.Since(begun) < startTime {
		if answers(ctx, "http://"+addr+"/") {
			s.began = time.Since(begun)
			return s, nil
		}
		time.Sleep(time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("the server does not answer; see %s", log.Name()), s.stop())
}

func answers(ctx context.Context, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// stop ends the server as an operator does.
func (s *server) stop() error {
	if s.command.ProcessState != nil {
		return nil
	}
	_ = s.command.Process.Signal(syscall.SIGTERM)
	return s.command.Wait()
}

// highest watches the memory of the server until the function that it returns is
// called, which returns the most there was, in MiB.
func (s *server) highest(ctx context.Context) (most func() float64) {
	ctx, cancel := context.WithCancel(ctx)
	found := make(chan float64)
	go func() {
		highest := 0.0
		for ctx.Err() == nil {
			if now, err := s.memory(); err == nil {
				highest = max(highest, now)
			}
			time.Sleep(50 * time.Millisecond)
		}
		found <- highest
	}()
	return func() float64 { cancel(); return <-found }
}

// freeAddress returns an address of this machine that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
