package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-password-reset/caddy-password-reset/demo"
)

var updateScripts = flag.Bool("update", false, "write what the commands of testdata/script print into the scripts")

// TestScripts runs testdata/script: what an operator types, and all that they
// read. The program is this one, under the name of caddy. It has a site with an app
// and a relay of its own, as testdata/script/Caddyfile says if the script has no
// other.
//
//	exec caddy run &caddy&     runs Caddy until the script ends, or: kill caddy; wait caddy
//	answers                    waits until the site answers
//	ask LOGIN [SITE]           somebody asks for a mail
//	mail ADDRESS [N]           waits for the n-th mail to an address, and takes its link
//	follow PASSWORD            opens that link and gives a new password
//	app down|up, relay down|up makes the app answer 503, the relay 451
//	until PATTERN COMMAND …    runs a command until what it prints matches
//	capture NAME PATTERN       sets a variable to what matches in what was printed
//	tidy                       gives what differs in each run fixed names in what was
//	                           printed, so that cmp compares all of it
//
// With -update cmp writes what it gets into the scripts.
func TestScripts(t *testing.T) {
	t.Parallel()
	root, err := os.MkdirTemp("", "s") // short: socket paths end at 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), WorkdirRoot: root, UpdateScripts: *updateScripts,
		RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: setUpScript,
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("there is no condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"answers": onPeers((*scriptPeers).answers, 0, 0),
			"ask":     onPeers((*scriptPeers).ask, 1, 2),
			"mail":    onPeers((*scriptPeers).mail, 1, 2),
			"follow":  onPeers((*scriptPeers).follow, 1, 1),
			"app":     onPeers((*scriptPeers).switchApp, 1, 1),
			"relay":   onPeers((*scriptPeers).switchRelay, 1, 1),
			"until":   onPeers((*scriptPeers).until, 2, 99),
			"capture": onPeers((*scriptPeers).capture, 2, 2),
			"tidy":    onPeers((*scriptPeers).tidy, 0, 0),
		},
	})
}

// scriptPeers are who the Caddy of a script talks to.
type scriptPeers struct {
	*testscript.TestScript
	app   *demo.App
	inbox *demo.Inbox
	names map[string]string // address → what a tidy text calls it
}

func setUpScript(env *testscript.Env) error {
	t := env.T().(testing.TB)
	p := &scriptPeers{names: map[string]string{env.WorkDir: "WORK"}}
	secret := "whsec_" + secret()
	var err error
	if p.app, err = demo.NewApp(demo.Options{Secret: secret, BcryptCost: bcrypt.MinCost}); err != nil {
		return err
	}
	app := httptest.NewServer(p.app)
	env.Defer(app.Close)
	if p.inbox, err = demo.NewInbox(demo.InboxOptions{}); err != nil {
		return err
	}
	env.Defer(func() { p.inbox.Close() })
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts, so nobody is greeted
	if err != nil {
		return err
	}
	env.Defer(func() { silent.Close() })
	for name, address := range map[string]string{
		"SITE": freeAddress(t), "OTHER": freeAddress(t), "NOBODY": freeAddress(t),
		"APP": app.URL, "RELAY": p.inbox.Addr(), "SILENT": silent.Addr().String(),
	} {
		env.Setenv(name, address)
		p.names[address] = name
	}
	env.Setenv("WEBHOOK_SECRET", secret)
	env.Setenv("CADDY_ADMIN", "unix/admin.sock") // where a Caddyfile says nothing else
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("XDG_DATA_HOME", env.WorkDir)
	env.Setenv("XDG_CONFIG_HOME", env.WorkDir)
	env.Setenv("TZ", "UTC")
	env.Values["peers"] = p
	file := filepath.Join(env.WorkDir, "Caddyfile")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join("testdata", "script", "Caddyfile"))
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// onPeers is a command with so many arguments that is never expected to fail.
func onPeers(do func(*scriptPeers, []string) error, least, most int) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < least || len(args) > most {
			ts.Fatalf("TestScripts says how to write this command")
		}
		p := ts.Value("peers").(*scriptPeers)
		p.TestScript = ts
		ts.Check(do(p, args))
	}
}

func (p *scriptPeers) base() string { return "http://" + p.Getenv("SITE") + "/password-reset" }

// wait waits for a condition of real peers.
func (p *scriptPeers) wait(what string, holds func() bool) error {
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited in vain: %s", what)
		}
		<-time.After(50 * time.Millisecond)
	}
	return nil
}

func (p *scriptPeers) answers([]string) error {
	return p.wait("the site answers", func() bool {
		r, err := http.Get(p.base())
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// post sends JSON and prints the answer.
func (p *scriptPeers) post(url string, body map[string]string) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.Post(url, "application/json", strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	var answer struct{ Status, Title any }
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.Stdout(), r.StatusCode, answer.Status)
	return err
}

func (p *scriptPeers) ask(args []string) error {
	base := p.base()
	if len(args) == 2 {
		base = args[1]
	}
	return p.post(base, map[string]string{"login": args[0]})
}

func (p *scriptPeers) mail(args []string) error {
	n := 1
	if len(args) == 2 {
		var err error
		if n, err = strconv.Atoi(args[1]); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m, err := p.inbox.Wait(ctx, args[0], n)
	if err != nil {
		return err
	}
	if link, err := m.Link(p.base()); err == nil { // a notice has none
		p.Setenv("LINK", link)
	}
	return nil
}

func (p *scriptPeers) follow(args []string) error {
	link := p.Getenv("LINK")
	r, err := http.Get(link)
	if err != nil {
		return err
	}
	r.Body.Close()
	if r.StatusCode != http.StatusOK {
		_, err := fmt.Fprintln(p.Stdout(), r.StatusCode)
		return err
	}
	return p.post(p.base()+"/new", map[string]string{"token": link[strings.LastIndexByte(link, '/')+1:], "password": args[0]})
}

func (p *scriptPeers) switchApp(args []string) error {
	p.app.SetDown(args[0] == "down")
	return nil
}

func (p *scriptPeers) switchRelay(args []string) error {
	p.inbox.SetDown(args[0] == "down")
	return nil
}

func (p *scriptPeers) until(args []string) error {
	pattern, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	return p.wait(args[0], func() bool {
		err := p.Exec(args[1], args[2:]...)
		return err == nil && pattern.MatchString(p.ReadFile("stdout"))
	})
}

func (p *scriptPeers) capture(args []string) error {
	pattern, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	found := pattern.FindString(p.ReadFile("stdout"))
	if found == "" {
		return fmt.Errorf("nothing that was printed matches %s", args[1])
	}
	p.Setenv(args[0], found)
	return nil
}

func (p *scriptPeers) tidy([]string) error {
	out, bad := p.ReadFile("stdout"), p.ReadFile("stderr")
	t := newTidier(p.names)
	if _, err := fmt.Fprint(p.Stdout(), t.tidy(out)); err != nil {
		return err
	}
	_, err := fmt.Fprint(p.Stderr(), t.tidy(bad))
	return err
}
