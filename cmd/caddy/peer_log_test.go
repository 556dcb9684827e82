package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What the log says of an attempt.
const (
	logSent     = "mail handed to the relay"
	logRetried  = "mail not handed over yet"
	logAlarmed  = "mail cannot be sent until a setting is mended; it stays queued"
	logUnwanted = "the relay does not take a mail for what it says; it stays queued and others go on"
	logEnded    = "the relay refused the mail for good"

	logLookupRetried = "looking up an account failed; trying again"
	logLookupAlarmed = "the directory is set up wrongly; requests stay queued"
	logNoMail        = "reset ended without a mail"

	logChanged       = "password changed"
	logRefused       = "the app refused the new password"
	logGone          = "the app says that the account is gone"
	logSuperseded    = "the app reports a newer change"
	logChangeRetried = "the app did not take the change yet"
	logChangeAlarmed = "the target is set up wrongly; changes stay queued"
)

// A logLine is one line of the program about a site.
type logLine struct {
	Time    float64 `json:"ts"`
	Message string  `json:"msg"`
	Site    string  `json:"site"`
	Error   string  `json:"error"`
	AgainIn string  `json:"again_in"`
	Alarm   bool    `json:"alarm"`
}

// lines returns what the log says about a site; about all, if it is "".
func (w *peerWorld) lines(site string) (found []logLine) {
	for line := range strings.Lines(w.log.String()) {
		if site != "" && !strings.Contains(line, `"site":"`+site+`"`) {
			continue
		}
		var l logLine
		if json.Unmarshal([]byte(line), &l) == nil && l.Site != "" {
			found = append(found, l)
		}
	}
	return found
}

// logged waits for a line that begins with a message, and has a cause.
func (s *peerSite) logged(message, cause string) (logLine, error) {
	patience := time.Now().Add(time.Minute + s.w.Pace.attempt)
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		for _, l := range s.w.lines(s.id()) {
			if strings.HasPrefix(l.Message, message) && strings.Contains(l.Error, cause) {
				return l, nil
			}
		}
		if time.Now().After(patience) {
			tick.Stop()
			var said []string
			for _, l := range s.w.lines(s.id()) {
				if l.Message != "handled request" {
					said = append(said, l.Message+": "+l.Error)
				}
			}
			return logLine{}, fmt.Errorf("the log does not say %q with %q, but %q", message, cause, said)
		}
		select {
		case <-tick.C:
		case <-s.w.t.Context().Done():
			tick.Stop()
			return logLine{}, errors.New("the test has ended")
		}
	}
}

// repeated returns alarms that came again within the minute for which one is
// to do: many of them would hide everything else.
func (w *peerWorld) repeated() (found []string) {
	last := make(map[logLine]float64)
	for _, l := range w.lines("") {
		if !l.Alarm {
			continue
		}
		what := logLine{Message: l.Message, Site: l.Site, Error: l.Error}
		if before, ok := last[what]; ok && l.Time-before < 59 {
			found = append(found, fmt.Sprintf("%s: %s: %s", l.Site, l.Message, l.Error))
		}
		last[what] = l.Time
	}
	return found
}
