// Package adminapi is what the admin API of password_reset and its clients say to
// each other: the paths below [Path] and the JSON of their bodies and answers.
// docs/operators/commands.md lists the routes. No login, address, token, code or
// password is in an answer.
package adminapi

import (
	"errors"
	"time"
)

// Path is what all routes begin with. No login stands in one: Caddy logs the URI of
// each request.
const Path = "/password_reset/"

// MaxBody bounds a body of JSON, and an answer that is an error, in bytes.
const MaxBody = 64 << 10

// ErrNoJob is what is said of a job that is not there.
var ErrNoJob = errors.New("no job with this id waits: it has ended, or never was")

// A Status is how things stand.
type Status struct {
	Sites   []string  `json:"sites"`
	Store   Store     `json:"store"`
	Waiting []Backlog `json:"waiting,omitempty"`
}

// A Store says whether the store can be used.
type Store struct {
	Key   string `json:"key"` // which one it is
	Open  bool   `json:"open"`
	Error string `json:"error,omitempty"`
}

// A Backlog is what waits of one kind at one site.
type Backlog struct {
	Site   string     `json:"site"`
	Kind   string     `json:"kind"`
	Jobs   int        `json:"jobs"`
	Oldest *time.Time `json:"oldest,omitempty"`
}

// A Job is one that waits.
type Job struct {
	ID        string    `json:"id"`
	Site      string    `json:"site"`
	Kind      string    `json:"kind"`
	Reference string    `json:"reference"`
	Queued    time.Time `json:"queued"`
	Due       time.Time `json:"due"`
	Deadline  time.Time `json:"deadline"`
	Attempts  int       `json:"attempts"`
	Trying    bool      `json:"trying"`
	Cause     string    `json:"cause,omitempty"`
}

// Jobs are those that wait.
type Jobs struct {
	Jobs []Job `json:"jobs"`
}

// A Subject is whom a request of the help desk is about. Site may be empty if there
// is only one.
type Subject struct {
	Site  string `json:"site"`
	Login string `json:"login"`
}

// A Trace is what became of the latest requests for a login, the newest first.
type Trace struct {
	Site     string    `json:"site"`
	Requests []Request `json:"requests"`
}

// A Request is one of them.
type Request struct {
	Reference string     `json:"reference"`
	Steps     []Step     `json:"steps"`
	OpenUntil *time.Time `json:"open_until,omitempty"` // when its link ends; nil: it has ended
	Waiting   []Job      `json:"waiting,omitempty"`
}

// A Step is one of [reset.Step].
type Step struct {
	At     time.Time `json:"at"`
	Step   string    `json:"step"`
	Detail string    `json:"detail,omitempty"`
}

// A Sending is a mail that the help desk has sent.
type Sending struct {
	Reference string `json:"reference"`
}

// A Revocation is what has ended. Warning says what could not be found out.
type Revocation struct {
	Mails   int    `json:"mails"`
	Links   int    `json:"links"`
	Changes int    `json:"changes"`
	Warning string `json:"warning,omitempty"`
}

// A Restoration says where the previous store is kept.
type Restoration struct {
	Kept string `json:"kept,omitempty"`
}

// PartConfig is the part of a check that is about the configuration.
const PartConfig = "configuration"

// A Finding is a line of a check. It is fine if there is no Problem; a Problem
// without Broken is advice.
type Finding struct {
	Site    string `json:"site,omitempty"` // none: all of them
	Part    string `json:"part"`
	Step    string `json:"step"`
	Seen    string `json:"seen,omitempty"`
	Problem string `json:"problem,omitempty"`
	Cure    string `json:"cure,omitempty"`
	Broken  bool   `json:"broken,omitempty"`
}
