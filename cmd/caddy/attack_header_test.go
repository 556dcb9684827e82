package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framings are requests whose end two servers see in different places (RFC 9112
// section 11.2). SECOND is a request that nobody may take for one.
var framings = []string{
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked\r\nContent-Length: 500\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: 0\r\nContent-Length: 500\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: 5, 5\r\n\r\nloginSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: +5\r\n\r\nloginSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: 0x5\r\n\r\nloginSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length : 5\r\n\r\nloginSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: -1\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: 99999999999999999999\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nX: y\nTransfer-Encoding: chunked\r\nContent-Length: 500\r\n\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"\n\r\nlogin\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nlogin\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nlogin\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff5\r\nlogin\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked\r\n\r\n5\nlogin\n0\n\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nloginX\r\n0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nHost: evil.test\r\nFORM\r\nContent-Length: 0\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: 400000\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Encoding: gzip\r\nContent-Length: 500\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nExpect: 100-continue\r\nContent-Length: 400000\r\n\r\nSECOND",
	"POST PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nExpect: 200-maybe\r\nContent-Length: 500\r\n\r\nSECOND",
	"PUT PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: 500\r\n\r\nSECOND",
	"GET PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nContent-Length: 500\r\n\r\nSECOND",
	"GET PATH HTTP/1.1\r\nHost: HOST\r\nFORM\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 500\r\n\r\nSECOND",
	"GET PATH HTTP/1.1\nHost: HOST\nFORM\nContent-Length: 500\n\nSECOND",
	"GET PATH\r\n\r\n", "GET PATH HTTP/0.9\r\n\r\n", "GET PATH HTTP/1.0\r\n\r\n", "GET PATH HTTP/3.0\r\nHost: HOST\r\n\r\n", "GET PATH HTTP/1.1\r\n\r\n", "get PATH http/1.1\r\nHost: HOST\r\n\r\n",
	"GET PATH HTTP/1.1 x\r\nHost: HOST\r\n\r\n", "GET  PATH HTTP/1.1\r\nHost: HOST\r\n\r\n", "\r\n\r\nGET PATH HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", "GET PATH HTTP/1.1\r\n: x\r\nHost: HOST\r\n\r\n",
	"GET PATH HTTP/1.1\r\nHost: HOST\r\nX\x00Y: z\r\n\r\n", "GET PATH HTTP/1.1\r\nHost: HOST\r\nX: \x00\r\n\r\n", "CONNECT HOST:80 HTTP/1.1\r\nHost: HOST\r\n\r\nSECOND",
}

// A request ends where it says that it ends, and where that cannot be told, it
// is refused with the connection: what stands behind is never a request.
func TestTrialAttackFraming(t *testing.T) {
	t.Parallel()
	s := besiege(t, "requests within requests", people(1))
	host := strings.TrimPrefix(s.Site, "http://")
	paths := []string{surface, surface + "/new", surface + "/link/x", surface + "/nothing", "/forgot-password", "/users/password", "/api/User/authreset", "/user/password/reset/x", "/v2/app/reset/user/bob"}
	type try struct{ path, framing string }
	var tries []try
	for _, framing := range framings {
		for _, path := range paths {
			tries = append(tries, try{path, framing})
		}
	}
	chance := s.tr.Rand(0)
	for range s.tr.Size(60, 4000) {
		framing := []byte(framings[chance.IntN(len(framings))])
		line := bytes.IndexByte(framing, '\n')
		i := line + chance.IntN(len(framing)-line)
		if strings.Contains(string(framing[i:]), "SECOND") {
			// What was changed may be right by it, and what follows a request.
			framing = bytes.ReplaceAll(framing, []byte("SECOND"), nil)
			i = min(i, len(framing))
			framing = append(framing[:i:i], append([]byte([]string{"\r", "\n", " ", "\t", "0", ":", ",", "\x00", "\r\n "}[chance.IntN(9)]), framing[i:]...)...)
		}
		tries = append(tries, try{paths[chance.IntN(len(paths))], string(framing)})
	}
	s.each(len(tries), func(i int) {
		second := fmt.Sprintf("GET /smuggled-%d HTTP/1.1", i) + "\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"
		request := strings.NewReplacer("PATH", tries[i].path, "HOST", host, "FORM", "X-Forwarded-For: 198.19.0.1\r\nContent-Type: application/x-www-form-urlencoded", "SECOND", second).Replace(tries[i].framing)
		for _, status := range s.pipe(request) {
			if status == 500 || status == 101 || status == 502 {
				s.tr.Violation("%q is answered %d", request, status)
			}
		}
	})
	for _, seen := range s.backend.seen() {
		i, _ := strconv.Atoi(seen[strings.LastIndexByte(seen, '-')+1:])
		s.tr.Violation("the app saw %s, which stood in %+q", seen, tries[i])
	}

	// What is more than a request may be is refused, and does not wait.
	big := strings.Repeat("a", 1<<20)
	form := "Content-Type: application/x-www-form-urlencoded\r\n"
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"headers of a megabyte", "GET " + surface + " HTTP/1.1\r\nHost: " + host + "\r\nX-Big: " + big + big + "\r\n\r\n", 431},
		{"a million small headers", "GET " + surface + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Repeat("X: y\r\n", 400_000) + "\r\n", 431},
		{"a long target", "GET " + surface + "/" + big + big + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n", 431},
		{"a large body", "POST " + surface + " HTTP/1.1\r\nHost: " + host + "\r\n" + form + "Content-Length: 100000000\r\n\r\n" + big, 413},
		{"a large body in pieces", "POST " + surface + " HTTP/1.1\r\nHost: " + host + "\r\n" + form + "Transfer-Encoding: chunked\r\n\r\n100000\r\n" + big + "\r\n0\r\n\r\n", 413},
		{"extensions of pieces", "POST " + surface + " HTTP/1.1\r\nHost: " + host + "\r\n" + form + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1;"+strings.Repeat("x", 4000)+"\r\na\r\n", 100) + "0\r\n\r\n", 400},
		{"trailers", "POST " + surface + " HTTP/1.1\r\nHost: " + host + "\r\n" + form + "Trailer: Content-Type\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nlogin=%ff\r\n0\r\nContent-Type: x\r\n" + strings.Repeat("X: y\r\n", 100_000) + "\r\n", 400},
		{"fields without end", s.raw("POST", surface, strings.Repeat("a&", 5000)+"login=x"), 400},
		{"a field without end", s.raw("POST", surface, "login="+strings.Repeat("%28", 5000)), 422},
		{"semicolons", s.raw("POST", surface, "login=person-0;login=x"), 400},
		{"a form within a query", s.raw("POST", surface+"?login=person-0", "x=y"), 400},
	} {
		statuses := s.pipe(tt.request)
		if !slices.Equal(statuses, []int{tt.want}) && !(len(statuses) == 0 && tt.want == 431) {
			s.tr.Violation("%s: answered %d", tt.name, statuses)
		}
	}
	s.inPaths = true
	s.lift()
}

// A request in HTTP/2 is one whose headers are those of HTTP/1.1 too: what
// would be another request there, or a header of a hop, is refused.
func TestTrialAttackHTTP2(t *testing.T) {
	t.Parallel()
	s := besiege(t, "HTTP/2 that reads otherwise as HTTP/1.1", people(8))
	host := strings.TrimPrefix(s.Site, "http://")
	base := func(method, path string) [][2]string {
		return [][2]string{{":method", method}, {":scheme", "http"}, {":authority", host}, {":path", path}}
	}
	form := [2]string{"content-type", "application/x-www-form-urlencoded"}
	var tries []exchange2
	for _, bad := range [][2]string{
		{"transfer-encoding", "chunked"},
		{"connection", "keep-alive"},
		{"upgrade", "h2c"},
		{"content-length", "3"},
		{"content-length", "5, 5"},
		{"host", "evil.test"},
		{"Host", "evil.test"},
		{":authority", "evil.test"},
		{":path", "/smuggled"},
		{":method", "GET"},
		{":protocol", "websocket"},
		{":x", "y"},
		{"x\r\nhost", "evil.test"},
		{"x", "y\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x"},
		{"x", "y\x00"},
		{"x y", "z"},
		{"", "z"},
		{"te", "gzip"},
		{"x-forwarded-host", "evil.test"},
		{"cookie", "password-reset=a; password-reset=b"},
		{"expect", "100-continue"},
	} {
		tries = append(tries, exchange2{append(base("POST", surface), form, bad), "login=person-0"}, exchange2{append(base("GET", "/forgot-password"), bad), ""})
	}
	for _, path := range []string{
		"forgot-password", "*", "", "//forgot-password", "http://evil.test/forgot-password", "/x/../forgot-password", "/forgot-password HTTP/1.1\r\nX: y", "/forgot-password#x", "/forgot-password\x00", `/x\..\forgot-password`, "/FORGOT-PASSWORD?x",
		surface + "/link/x y", surface + " ", "/users/password\t",
	} {
		for _, method := range []string{"GET", "POST", "GET / HTTP/1.1\r\nX:", "CONNECT", "BREW", "get"} {
			tries = append(tries, exchange2{base(method, path), ""})
		}
	}
	for _, authority := range []string{"evil.test", "evil.test@" + host, host + "@evil.test", "evil.test\r\nX: y", "", "evil.test/forgot-password", "[::1", "x:y:z"} {
		headers := base("POST", surface)
		headers[2][1] = authority
		tries = append(tries, exchange2{append(headers, form), "login=person-1"})
		headers = base("GET", "/forgot-password")
		headers[2][1] = authority
		tries = append(tries, exchange2{headers, ""})
	}
	for _, scheme := range []string{"javascript", "https", "", "http\r\nX: y"} {
		headers := base("POST", surface)
		headers[1][1] = scheme
		tries = append(tries, exchange2{append(headers, form), "login=person-2"})
	}
	s.each(len(tries), func(i int) {
		s.tr.Run()
		status, header, err := s.talk2(tries[i])
		if err != nil {
			s.tr.Violation("%q: %v", tries[i].header, err)
		}
		if status == "500" || status == "502" || status == "101" || strings.Contains(fmt.Sprint(header), "evil.test") {
			s.tr.Violation("%q is answered %s with %q", tries[i].header, status, header)
		}
		if status == "200" && header["cache-control"] != "no-store" && header[strings.ToLower(backendHeader)] == "" {
			s.tr.Violation("%q is answered with %q", tries[i].header, header)
		}
	})
	for _, seen := range s.backend.seen() {
		if !strings.HasSuffix(seen, " *") { // the path of no resource
			s.tr.Violation("the app saw %s", seen)
		}
	}
	for _, login := range []string{"person-0", "person-1", "person-2"} {
		s.typed.Store(login, true)
	}
	s.lift()
	// The test finds what it is there for: a good request is answered.
	if status, header, err := s.talk2(exchange2{base("GET", surface), ""}); status != "200" || err != nil {
		t.Errorf("a plain request is answered %s with %q: %v", status, header, err)
	}
	plain := make(map[string]bool)
	for _, m := range s.Inbox.Mails() {
		plain[skeleton(m)] = true
	}
	if len(plain) != 1 {
		s.tr.Violation("there are %d kinds of mail", len(plain))
	}
}

// An exchange2 is a request as frames of HTTP/2 carry it.
type exchange2 struct {
	header [][2]string
	body   string
}

// talk2 sends frames on a connection of their own, and returns the answer. A
// status of "" means that the stream or the connection was refused.
func (s *siege) talk2(x exchange2) (status string, header map[string]string, err error) {
	c, err := net.Dial("tcp", strings.TrimPrefix(s.Site, "http://"))
	if err != nil {
		return "", nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range append(x.header, [2]string{"x-forwarded-for", s.visitor()[1]}) {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return "", nil, err
		}
	}
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	frames := http2.NewFramer(&out, c)
	frames.AllowIllegalWrites = true
	_ = frames.WriteSettings()
	_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: x.body == "", EndHeaders: true})
	if x.body != "" {
		_ = frames.WriteData(1, true, []byte(x.body))
	}
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = c.Write(out.Bytes()) })
	defer writing.Wait()
	frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	header = make(map[string]string)
	for {
		frame, err := frames.ReadFrame()
		if err == io.EOF || isReset(err) {
			return status, header, nil
		}
		if err != nil {
			return status, header, err
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				header[field.Name] = field.Value
			}
			status = header[":status"]
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return status, header, nil
		}
		if end, ok := frame.(interface{ StreamEnded() bool }); ok && end.StreamEnded() {
			return status, header, nil
		}
	}
}

// isReset tells the end of a connection that has not read all.
func isReset(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "reset by peer") || strings.Contains(err.Error(), "broken pipe"))
}
