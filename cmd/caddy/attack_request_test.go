package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// raw spells a request that asks to close the connection. Headers, as pairs,
// come as they are given, in the place of those that it would have by itself.
func (s *siege) raw(method, target, body string, header ...string) string {
	own := []string{"Host", strings.TrimPrefix(s.Site, "http://"), "Connection", "close"}
	if body != "" || method == http.MethodPost {
		own = append(own, "Content-Length", strconv.Itoa(len(body)))
	}
	switch {
	case strings.HasPrefix(body, "{"):
		own = append(own, "Content-Type", "application/json")
	case body != "":
		own = append(own, "Content-Type", "application/x-www-form-urlencoded")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, target)
	for i := 0; i < len(own); i += 2 {
		given := slices.ContainsFunc(header, func(h string) bool { return strings.EqualFold(h, own[i]) })
		if !given {
			fmt.Fprintf(&b, "%s: %s\r\n", own[i], own[i+1])
		}
	}
	for i := 0; i < len(header); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", header[i], header[i+1])
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

// spell is raw for what a client in a dialect says, from a new visitor.
func (s *siege) spell(p phrase, header ...string) string {
	return s.raw(p.method, p.target, p.body, slices.Concat(p.header, s.visitor(), header)...)
}

// pipe sends bytes on one connection, which then is closed from our side, and
// returns the statuses of all answers.
func (s *siege) pipe(request string) (statuses []int) {
	s.tr.Run()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.Site, "http://"))
	if err != nil {
		s.tr.Violation("connecting: %v", err)
		return nil
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = io.WriteString(c, request) // an answer may come before all was read
	c.(*net.TCPConn).CloseWrite()
	raw, _ := io.ReadAll(c) // what was not read may reset the connection
	for _, found := range statusLine.FindAllSubmatch(raw, -1) {
		status, _ := strconv.Atoi(string(found[1]))
		statuses = append(statuses, status)
	}
	return statuses
}

var statusLine = regexp.MustCompile(`HTTP/1\.[01] (\d{3}) [A-Za-z ]*\r\n`)
