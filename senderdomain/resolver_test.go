package senderdomain_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/caddy-password-reset/caddy-password-reset/senderdomain"
)

// TestResolver holds that the resolver of the standard library is one: texts in
// several strings are one record, an unknown name is no failure, and no other
// name than the domain's is asked for.
func TestResolver(t *testing.T) {
	known := map[string]dnsmessage.ResourceBody{
		"example.com. TypeTXT":              &dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "mx ~all"}},
		"example.com. TypeMX":               &dnsmessage.MXResource{MX: dnsmessage.MustNewName(".")},
		"s._domainkey.example.com. TypeTXT": &dnsmessage.TXTResource{TXT: []string{"v=DKIM1; p=MI", "Gf"}},
	}
	var mu sync.Mutex
	asked := make(map[string]bool)
	resolver := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe() // no packets, so as over TCP
		go func() {
			defer far.Close()
			buf := make([]byte, 1500)
			n, err := far.Read(buf)
			var m dnsmessage.Message
			if err != nil || n < 2 || m.Unpack(buf[2:n]) != nil {
				return
			}
			q := m.Questions[0]
			mu.Lock()
			asked[q.Name.String()+" "+q.Type.String()] = true
			mu.Unlock()
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RCode: dnsmessage.RCodeNameError}, Questions: m.Questions}
			if body, ok := known[q.Name.String()+" "+q.Type.String()]; ok {
				reply.RCode = dnsmessage.RCodeSuccess
				reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: body}}
			}
			packed, err := reply.AppendPack([]byte{0, 0})
			if err != nil {
				t.Error(err)
				return
			}
			packed[0], packed[1] = byte((len(packed)-2)>>8), byte(len(packed)-2)
			_, _ = far.Write(packed)
		}()
		return near, nil
	}}
	fine := make(map[string]bool)
	for _, f := range senderdomain.Check(t.Context(), resolver, "example.com", "s") {
		fine[f.Step] = f.Problem == ""
	}
	if diff := cmp.Diff(map[string]bool{"MX": false, "SPF": true, "DMARC": false, "DKIM": true}, fine); diff != "" {
		t.Error(diff)
	}
	want := map[string]bool{
		"example.com. TypeMX": true, "example.com. TypeTXT": true, "_dmarc.example.com. TypeTXT": true, "s._domainkey.example.com. TypeTXT": true,
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}
