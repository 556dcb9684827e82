// Package webhookout hands signed JSON messages to the app behind Caddy, in
// the format of Standard Webhooks 1.0.0, and says what came of each attempt.
//
// It promises: one [Client.Post] is one exchange with the URL that the
// operator wrote and with no other, under one total deadline, on a bounded
// number of connections. The message carries one signature per secret. Clear
// text leaves this machine only where the operator allowed it, and then only
// for private and link-local addresses, judged by the address that is dialled.
// At most 64 KiB of an answer are read.
//
// It never follows a redirect, asks a proxy, keeps a cookie, unpacks a
// compressed answer, or puts a secret, a body or a query into an error.
//
// What an operator has to change when a hook is not reached or does not do its
// part, [Client.Ping] tells.
//
// It keeps nothing: the caller makes the message durable, repeats it with the
// same id until an answer is final ([Target] says which are), and waits in
// between. What a receiver has to do is in docs/receivers.md.
package webhookout

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	defaultTimeout     = 5 * time.Second
	defaultConnections = 8

	// maxBody is what Standard Webhooks allows ("payload size").
	maxBody = 20_000
	// maxHeader bounds the header of an answer, floods of 1xx included.
	maxHeader = 64 << 10
)

// Options are the settings of a [Client].
type Options struct {
	// URL is where the hook of the app is. Required. One of
	//
	//	https://app.example.com/hooks/lookup    anywhere
	//	http://127.0.0.1:3000/hooks/lookup      this machine (localhost too)
	//	unix//run/app.sock:/hooks/lookup        a Unix domain socket, written
	//	                                        as in Caddy, then ":" and the path
	URL string

	// Secrets sign each message, all of them, so that a receiver may hold any
	// one while a secret is rotated. Required; newest first.
	Secrets []Secret

	// Timeout is the time for one exchange, from connecting to the last byte
	// of the answer. Default 5s.
	Timeout time.Duration

	// TrustedCA is a file of PEM certificates that are trusted instead of
	// those of the system. Default: those of the system.
	TrustedCA string

	// InsecureHTTP allows http:// to other machines, at private and link-local
	// addresses only. Passwords then cross that network in clear.
	InsecureHTTP bool

	// Connections is how many exchanges run at a time; more of them wait.
	// Default 8.
	Connections int

	// Logger gets the warning about InsecureHTTP. Default: none.
	Logger *slog.Logger
}

// A Client posts messages to one hook of the app. It is safe for concurrent
// use.
type Client struct {
	endpoint  endpoint
	url       string
	secrets   []Secret
	timeout   time.Duration
	slots     chan struct{}
	transport *http.Transport
}

// A Message is what is posted.
type Message struct {
	// ID names the event, the same on every attempt: the receiver knows a
	// repeat by it. Visible ASCII without ".".
	ID string
	// Body is the JSON, sent and signed byte for byte; at most 20,000 bytes.
	Body []byte
}

// New returns a client, or an error that says which setting is wrong and what
// to write instead. It opens no connection.
func New(o Options) (*Client, error) {
	e, err := parseEndpoint(o.URL, o.InsecureHTTP)
	if err != nil {
		return nil, fmt.Errorf("parsing webhook URL: %w", err)
	}
	if len(o.Secrets) == 0 {
		return nil, errors.New("webhook secret is missing: make one with: echo whsec_$(openssl rand -base64 32)")
	}
	for _, s := range o.Secrets {
		if len(s.key) == 0 {
			return nil, errors.New("webhook secret is empty")
		}
	}
	if o.Timeout < 0 || o.Connections < 0 {
		return nil, errors.New("webhook timeout and connections cannot be negative")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	roots, err := readRoots(o.TrustedCA)
	if err != nil {
		return nil, err
	}
	if e.clear && o.Logger != nil {
		o.Logger.Warn("insecure_http: webhooks, and the passwords in them, cross the network in clear",
			"host", e.url.Host)
	}

	// HTTP/1.1 only: every app server speaks it, and with it connections bound
	// the load on the app, which streams would not.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &Client{
		endpoint: e,
		url:      e.url.String(),
		secrets:  append([]Secret(nil), o.Secrets...),
		timeout:  o.Timeout,
		slots:    make(chan struct{}, o.Connections),
		transport: &http.Transport{
			Proxy: nil, // never from the environment: a proxy would read the password
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return e.dial(ctx, net.Dialer{Timeout: o.Timeout}, network, address)
			},
			Protocols: &protocols,
			// With the cache, a connection for each message costs no signature.
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(1)},
			// As with dialling: a connection being opened outlives the request that
			// it was for and counts as one, which a silent peer could make last.
			TLSHandshakeTimeout: o.Timeout,
			DisableCompression:  true, // a small answer could unpack to gigabytes
			MaxConnsPerHost:     o.Connections,
			// What comes on a kept connection behind an answer, such as the body of
			// a 204, net/http quotes in the log of the process: an app that echoes
			// would put the password there.
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxHeader,
		},
	}, nil
}

// Post signs a message for now and sends it once. It first waits, no longer
// than ctx allows, until fewer than [Options.Connections] exchanges are under
// way; then [Options.Timeout] runs. Each exchange has a connection of its own.
func (c *Client) Post(ctx context.Context, m Message) Answer {
	return c.post(ctx, m, c.secrets)
}

// post is Post with other secrets than those that the app has, or with those.
func (c *Client) post(ctx context.Context, m Message, secrets []Secret) Answer {
	if !validID(m.ID) {
		return Answer{Err: &fault{text: "webhook id is not visible ASCII without a dot"}}
	}
	if len(m.Body) > maxBody {
		return Answer{Err: &fault{text: fmt.Sprintf("webhook body is longer than %d bytes", maxBody)}}
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Answer{Err: &fault{text: "no connection became free", err: errors.Join(errBusy, ctx.Err())}}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(m.Body))
	if err != nil {
		return Answer{Err: &fault{text: "webhook request cannot be made", err: ctx.Err()}}
	}
	setHeader(req.Header, m, secrets)
	// The transport alone, not an http.Client: it follows no redirect and
	// knows no cookie.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return Answer{Err: cause(err)}
	}
	return readAnswer(resp)
}

// Close closes connections that were opened and not needed. Exchanges under way
// end by themselves.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

func setHeader(h http.Header, m Message, secrets []Secret) {
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = s.sign(m.ID, timestamp, m.Body)
	}
	h.Set("Content-Type", "application/json")
	// Several frameworks answer a failed validation with a redirect or a page
	// to whoever does not ask for JSON.
	h.Set("Accept", "application/json")
	// No such field would mean: any coding is welcome (RFC 9110, section 12.5.3).
	h.Set("Accept-Encoding", "identity")
	h.Set("User-Agent", "caddy-password-reset")
	h.Set(headerID, m.ID)
	h.Set(headerTimestamp, timestamp)
	h.Set(headerSignature, strings.Join(signatures, " "))
}

func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		// The first one to need them reads them for all time: were it a message
		// that finds no descriptor left, no app would be trusted any more.
		if _, err := x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("reading the certificates of this machine: %w", err)
		}
		return nil, nil // the machine's
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading trusted_ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading trusted_ca: no PEM certificate in %s", file)
	}
	return roots, nil
}
