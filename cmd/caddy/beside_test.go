package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// beside runs n tests side by side, at most wide at once, in the place of
// subtests, of which no more run at once than there are processors: worlds
// mostly wait. failed is told of each that failed.
func beside(t *testing.T, wide, n int, test func(t testing.TB, number int), failed func(number int, why string)) {
	t.Helper()
	places := make(chan struct{}, wide)
	var all sync.WaitGroup
	for number := range n {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			one := &oneOfMany{TB: t, alone: n == 1}
			one.run(func() { test(one, number) })
			if one.Failed() {
				failed(number, one.why)
			}
		})
	}
	all.Wait()
}

// oneOfMany is a test beside others: what fails it leaves the others alone.
type oneOfMany struct {
	testing.TB
	alone bool // what it logs is of interest

	mu       sync.Mutex
	cleanups []func()
	why      string
}

func (o *oneOfMany) run(test func()) {
	defer func() {
		for n := len(o.cleanups) - 1; n >= 0; n-- {
			o.cleanups[n]()
		}
	}()
	// FailNow ends its goroutine.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		test()
	}()
	<-ended
}

func (o *oneOfMany) Helper()                  {}
func (o *oneOfMany) Context() context.Context { return context.Background() }

func (o *oneOfMany) Cleanup(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cleanups = append(o.cleanups, f)
}

func (o *oneOfMany) Failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.why != ""
}

func (o *oneOfMany) fail(why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.why += why + "\n"
}

func (o *oneOfMany) Log(args ...any) { o.Logf("%s", fmt.Sprint(args...)) }

func (o *oneOfMany) Logf(format string, args ...any) {
	if o.alone {
		o.TB.Logf(format, args...)
	}
}

func (o *oneOfMany) Error(args ...any)                 { o.fail(fmt.Sprint(args...)) }
func (o *oneOfMany) Errorf(format string, args ...any) { o.fail(fmt.Sprintf(format, args...)) }
func (o *oneOfMany) Fatal(args ...any)                 { o.Error(args...); runtime.Goexit() }
func (o *oneOfMany) Fatalf(format string, args ...any) { o.Errorf(format, args...); runtime.Goexit() }
