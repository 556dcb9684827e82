package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A keepalive is a connection that carries one request after another, so that
// thousands a second can be sent, and timed without the making of connections.
type keepalive struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
}

// A reception is what came back.
type reception struct {
	Status int
	Header http.Header
	Body   string
	Took   time.Duration // from the first byte sent to the last one received
}

// means returns what an answer says: its status, whether it tells to come back
// later, and its body without what is new each time.
func (r reception) means() string {
	retry := ""
	if r.Header.Get("Retry-After") != "" {
		retry = "retry"
	}
	return fmt.Sprintf("%d %s %s", r.Status, retry, reference.ReplaceAllString(r.Body, "REFE-RENCE"))
}

// keepalive opens a connection to a site.
func (w *world) keepalive(site string) (*keepalive, error) {
	k := &keepalive{address: strings.TrimPrefix(site, "http://")}
	return k, k.open()
}

func (k *keepalive) open() (err error) {
	if k.conn, err = net.Dial("tcp", k.address); err != nil {
		return err
	}
	k.in = bufio.NewReader(k.conn)
	return nil
}

func (k *keepalive) close() { k.conn.Close() }

// send sends one request and reads the whole answer. Where the other side
// closes the connection after it, the next one is opened before send returns,
// so that no time counts it.
func (k *keepalive) send(request []byte) (reception, error) {
	k.conn.SetDeadline(time.Now().Add(30 * time.Second))
	began := time.Now()
	if _, err := k.conn.Write(request); err != nil {
		return reception{}, err
	}
	r, err := http.ReadResponse(k.in, nil)
	if err != nil {
		return reception{}, fmt.Errorf("reading the answer: %w", err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return reception{}, fmt.Errorf("reading the answer: %w", err)
	}
	got := reception{Status: r.StatusCode, Header: r.Header, Body: string(body), Took: time.Since(began)}
	if r.Close {
		k.close()
		return got, k.open()
	}
	return got, nil
}

// wire returns the bytes of a request on a connection that is kept. Further
// headers come last.
func (c phrase) wire(site string, header ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", c.method, c.target, strings.TrimPrefix(site, "http://"))
	all := slices.Concat(c.header, header)
	if c.body != "" || c.method == http.MethodPost {
		all = append(all, "Content-Length", fmt.Sprint(len(c.body)))
	}
	for i := 0; i < len(all); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", all[i], all[i+1])
	}
	b.WriteString("\r\n" + c.body)
	return []byte(b.String())
}

// What is asked in our own surface, as a browser and as a program.

func formAsk(login string) phrase { return form("", "login="+login) }

func jsonAsk(login string) phrase { return document("", `{"login":"`+login+`"}`) }

func formCode(login string) phrase { return form("/code", "login="+login+"&code="+guessedCode) }

func jsonCode(login string) phrase {
	return document("/code", `{"login":"`+login+`","code":"`+guessedCode+`"}`)
}

func jsonNew(login string) phrase {
	return document("/new", `{"login":"`+login+`","code":"`+guessedCode+`","password":"`+newPassword+`"}`)
}

// guessedCode is right once in 10⁸ times.
const guessedCode = "00000000"

func form(path, body string) phrase {
	return phrase{"POST", surface + path, []string{"Content-Type", "application/x-www-form-urlencoded"}, body}
}

func document(path, body string) phrase {
	return phrase{"POST", surface + path, []string{"Content-Type", "application/json"}, body}
}
