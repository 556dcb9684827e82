package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const containerfile = "../../docs/deploy/Containerfile"

// containerUser is who the program runs as in the image.
const containerUser = 65532

// An instruction is a line of a Containerfile.
type instruction struct{ name, args string }

// stages reads a Containerfile.
func stages(t *testing.T) (all [][]instruction) {
	t.Helper()
	content, err := os.ReadFile(containerfile)
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`(?m)^[ \t]*#.*\n`)
	text := strings.ReplaceAll(comment.ReplaceAllString(string(content), ""), "\\\n", " ")
	for line := range strings.Lines(text) {
		name, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		if name == "FROM" {
			all = append(all, nil)
		}
		if len(all) == 0 {
			t.Fatalf("%s before the first FROM", name)
		}
		last := len(all) - 1
		all[last] = append(all[last], instruction{name, strings.TrimSpace(args)})
	}
	if len(all) != 2 {
		t.Fatalf("%d stages instead of one that builds and one that holds", len(all))
	}
	return all
}

// values returns what follows a name in a stage.
func values(stage []instruction, name string) (all []string) {
	for _, i := range stage {
		if i.name == name {
			all = append(all, i.args)
		}
	}
	return all
}

// The image holds what it needs and nothing more, and what makes it is named
// such that it is the same tomorrow.
func TestContainerfileIsNarrow(t *testing.T) {
	t.Parallel()
	all := stages(t)
	known := [][]string{
		{"FROM", "WORKDIR", "COPY", "RUN"},
		{"FROM", "COPY", "USER", "ENV", "VOLUME", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"},
	}
	for n, stage := range all {
		for _, i := range stage {
			if !slices.Contains(known[n], i.name) {
				t.Errorf("stage %d: %s %s", n, i.name, i.args)
			}
			if strings.Contains(i.args, "://") {
				t.Errorf("stage %d takes something from the network: %s", n, i.args)
			}
		}
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(gomod))
	if want := "docker.io/library/golang:" + goVersion[1] + " AS build"; all[0][0].args != want {
		t.Errorf("built from %s instead of %s", all[0][0].args, want)
	}
	last := all[1]
	if last[0].args != "scratch" {
		t.Errorf("the image is made from %s", last[0].args)
	}
	wanted := []string{
		"--from=build /image/caddy /usr/local/bin/caddy",
		fmt.Sprintf("--from=build --chown=%[1]d:%[1]d --chmod=0700 /image/data /data", containerUser),
	}
	if got := values(last, "COPY"); !slices.Equal(got, wanted) {
		t.Errorf("the image holds %q", got)
	}
	if got := values(last, "USER"); !slices.Equal(got, []string{fmt.Sprintf("%[1]d:%[1]d", containerUser)}) {
		t.Errorf("it runs as %q", got)
	}
	if got := values(last, "ENTRYPOINT"); !slices.Equal(got, []string{`["/usr/local/bin/caddy"]`}) {
		t.Errorf("it runs %q", got)
	}
}

// The program is built as the Containerfile has it, and serves from a root that
// holds nothing else, as the user of the image.
func TestContainerfileProgramNeedsNothing(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lacks(t, "only root can change the root of a program")
	}
	all := stages(t)
	image := t.TempDir()
	for _, command := range values(all[0], "RUN") {
		if command == "go mod download" {
			continue // the build does it
		}
		build := exec.Command("sh", "-c", strings.ReplaceAll(command, "/image", image))
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	built := filepath.Join(image, "caddy")
	program, err := elf.Open(built)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program is not static: it has a segment %v", p.Type)
		}
	}
	if out, err := exec.Command("go", "version", "-m", built).Output(); err != nil || !bytes.Contains(out, []byte("golang.org/x/crypto/x509roots/fallback")) {
		t.Errorf("the program brings no certificate authorities along: %v", err)
	}

	root, err := os.MkdirTemp("", "reset-root-") // others may pass through it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	copied := filepath.Join(root, "usr/local/bin/caddy")
	for _, step := range []error{
		os.Chmod(root, 0o755), os.MkdirAll(filepath.Dir(copied), 0o755), os.Link(built, copied),
		os.Mkdir(filepath.Join(root, "data"), 0o700), os.Chown(filepath.Join(root, "data"), containerUser, containerUser),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	inside := func(args ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), "/usr/local/bin/caddy", args...)
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{
			Chroot: root, Credential: &syscall.Credential{Uid: containerUser, Gid: containerUser}, Setpgid: true, Pdeathsig: syscall.SIGKILL,
		}
		c.Env = []string{"RESET_SMTP_PASSWORD=x", "RESET_WEBHOOK_SECRET=whsec_" + secret()}
		for _, line := range values(all[1], "ENV") {
			c.Env = append(c.Env, strings.Fields(line)...)
		}
		return c
	}
	if out, err := inside("version").CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("v2.")) {
		t.Errorf("version: %v\n%s", err, out)
	}
	if out, err := inside("list-modules").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("\nhttp.handlers.password_reset\n")) {
		t.Errorf("list-modules: %v\n%s", err, out)
	}

	config, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "etc/caddy"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/caddy/Caddyfile"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(values(all[1], "CMD")[0], -1) {
		args = append(args, arg[1])
	}
	site := "http://" + freeAddress(t)
	log := new(logBuffer)
	server := inside(args...)
	server.Env = append(server.Env, "RESET_SITE="+site, "RESET_BASE_URL="+site)
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	w.until("the program serves from an empty root", func() bool {
		r, err := http.Post(site+"/password-reset", "application/json", strings.NewReader(`{"login":"alice"}`))
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusAccepted
	})
	server.Process.Signal(syscall.SIGTERM)
	if err := server.Wait(); err != nil {
		t.Errorf("stopping: %v\n%s", err, log)
	}
	if _, err := os.Stat(filepath.Join(root, "data/caddy/password_reset/reset.db")); err != nil {
		t.Errorf("the store is not in the volume: %v\n%s", err, log)
	}
}

// Where there is an engine and the image that the build begins with, the image
// is really built. Nothing is pulled for a test.
func TestContainerfileBuilds(t *testing.T) {
	base, _, _ := strings.Cut(stages(t)[0][0].args, " ")
	for _, engine := range []string{"podman", "docker"} {
		if exec.Command(engine, "image", "inspect", base).Run() != nil {
			continue
		}
		const tag = "localhost/caddy-password-reset-test"
		t.Cleanup(func() { exec.Command(engine, "image", "rm", "--force", tag).Run() })
		build := exec.Command(engine, "build", "--tag", tag, "--file", containerfile, "../..")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", engine, err, out)
		}
		if out, err := exec.Command(engine, "run", "--rm", tag, "version").CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("v2.")) {
			t.Errorf("running the image: %v\n%s", err, out)
		}
		return
	}
	t.Skip("no podman or docker here has " + base)
}
