package main

import (
	"bufio"
	"encoding/json"
	"io"
	"time"
)

// An event is one line of `go test -json`.
type event struct {
	Time        time.Time
	Action      string
	Package     string
	ImportPath  string // instead of Package while building
	Test        string
	Elapsed     float64 // seconds
	Output      string
	Key, Value  string // of an attribute
	FailedBuild string // the ImportPath of the build that failed
}

// readEvents passes each event to fn. What is no event is passed on as output
// of no package: the go command may say something before the tests begin.
func readEvents(r io.Reader, fn func(event)) error {
	lines := bufio.NewReader(r)
	for {
		// No Scanner: a test may print a line of any length.
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if line[0] != '{' || json.Unmarshal(line, &e) != nil {
				e = event{Action: "output", Output: string(line)}
			}
			fn(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
