package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profile writes what the processors of a server do from now on, for that long,
// into a file of the folder for profiles, and returns at once. Without such a
// folder nothing is written.
func (b *bench) profile(ctx context.Context, s *server, name string, d time.Duration) (done func()) {
	if b.profiles == "" {
		return func() {}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		file := filepath.Join(b.profiles, name+".pprof")
		url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", s.admin, max(d.Seconds(), 1))
		if err := save(ctx, url, file); err != nil {
			b.say("profile of %s: %v", name, err)
		}
	}()
	return func() { <-ended }
}

func save(ctx context.Context, url, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, answer.Body)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
