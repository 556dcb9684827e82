package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A machine is this one as a fresh one: systemd is its first process, its
// network is nothing but loopback, and what is written to its folders of
// settings and data is gone with the test.
type machine struct {
	t   *testing.T
	dir string
	pid string // of systemd, seen from outside
	log *logBuffer
}

// machineBoot enters the namespaces. The control group has a name of its own,
// so that systemd leaves nothing in that of the real machine.
const machineBoot = `set -eu
mount --make-rprivate /
mkdir "$1/groups" "$1/layers"
mount -t cgroup2 none "$1/groups"
mkdir "$1/groups/$2"
echo $$ > "$1/groups/$2/cgroup.procs"
umount "$1/groups"
mount -t tmpfs none "$1/layers"
for d in etc usr/local var home; do
	mkdir -p "$1/layers/$d" "$1/layers/work/$d"
	mount -t overlay -o "lowerdir=/$d,upperdir=$1/layers/$d,workdir=$1/layers/work/$d" none "/$d"
done
mount -t tmpfs none /run
mount -t tmpfs none /etc/systemd/system
mount --make-rshared / # as systemd has it on a real machine
exec unshare --cgroup sh -c 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' sh \
	env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=test SYSTEMD_LOG_TARGET=console \
	"SYSTEMD_UNIT_PATH=$1/units:/etc/systemd/system:/run/systemd/transient" "SYSTEMD_GENERATOR_PATH=$1/none" "SYSTEMD_ENVIRONMENT_GENERATOR_PATH=$1/none" \
	/lib/systemd/systemd --system --unit=multi-user.target`

// machineLeave removes the control groups.
const machineLeave = `mount -t cgroup2 none "$1/groups" && find "$1/groups/$2" -depth -type d -exec rmdir {} +`

// newMachine boots one. Units by these names of Debian's packages are there,
// and none else.
func newMachine(t *testing.T, units ...string) *machine {
	t.Helper()
	need(t, "systemctl", "systemd")
	unshare := need(t, "unshare", "util-linux")
	if os.Getuid() != 0 {
		lacks(t, "only root can boot a machine in namespaces")
	}
	m := &machine{t: t, log: new(logBuffer)}
	var err error
	if m.dir, err = os.MkdirTemp("", "reset-machine-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(m.dir) })
	if err := os.Chmod(m.dir, 0o755); err != nil { // services drop root
		t.Fatal(err)
	}
	m.units(units)

	group := filepath.Base(m.dir)
	boot := exec.Command(unshare, "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc", "sh", "-c", machineBoot, "sh", m.dir, group)
	boot.Stdout, boot.Stderr = m.log, m.log
	// However this process ends, the machine ends with it: the thread that
	// starts it must live as long.
	started, over, ended := make(chan error), make(chan struct{}), make(chan struct{})
	boot.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := boot.Start()
		started <- err
		if err == nil {
			<-over
			boot.Process.Kill()
			boot.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			output, _ := os.ReadFile(m.path("/run/output"))
			t.Logf("output of the services:\n%s", output)
		}
		close(over)
		<-ended
		leave := exec.Command(unshare, "--mount", "sh", "-c", machineLeave, "sh", m.dir, group)
		// A process that was killed leaves its group a moment later.
		for range 50 {
			if err = leave.Run(); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
			leave = exec.Command(unshare, "--mount", "sh", "-c", machineLeave, "sh", m.dir, group)
		}
		if err != nil {
			t.Errorf("the control groups of the machine stay: %v", err)
		}
		if t.Failed() {
			t.Logf("console of the machine:\n%s", m.log)
		}
	})
	children := fmt.Sprintf("/proc/%d/task/%d/children", boot.Process.Pid, boot.Process.Pid)
	m.until("the machine is up", func() bool {
		if m.pid == "" {
			b, _ := os.ReadFile(children)
			m.pid = strings.TrimSpace(string(b))
			return false
		}
		out, err := m.try("systemctl is-system-running")
		return err == nil || strings.HasPrefix(out, "degraded")
	})
	return m
}

// units makes the folder of units: targets that systemd wants and services
// have to have, and those of Debian's packages.
func (m *machine) units(packaged []string) {
	m.t.Helper()
	dir := filepath.Join(m.dir, "units")
	if err := os.Mkdir(dir, 0o755); err != nil {
		m.t.Fatal(err)
	}
	for _, name := range []string{"sysinit", "basic", "shutdown", "network", "network-online", "nss-lookup", "multi-user"} {
		unit := "[Unit]\nDefaultDependencies=no\n"
		if name == "multi-user" {
			unit += "Requires=basic.target\nAfter=basic.target\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name+".target"), []byte(unit), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
	// There is no journal: what services write goes where the test sees it.
	if err := os.Mkdir(filepath.Join(dir, "service.d"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	const output = "[Service]\nStandardOutput=append:/run/output\nStandardError=append:/run/output\n"
	if err := os.WriteFile(filepath.Join(dir, "service.d/output.conf"), []byte(output), 0o644); err != nil {
		m.t.Fatal(err)
	}
	for _, name := range packaged {
		content, err := os.ReadFile(filepath.Join("/lib/systemd/system", name))
		if err != nil {
			lacks(m.t, "the unit "+name+" of Debian is missing: install its package")
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
}

// run has commands run by a shell on the machine, as root in the checkout, and
// returns what they write.
func (m *machine) run(commands string) string {
	m.t.Helper()
	out, err := m.try(commands)
	if err != nil {
		m.t.Fatalf("%s\n%v:\n%s", commands, err, out)
	}
	return out
}

func (m *machine) try(commands string) (string, error) {
	checkout, err := filepath.Abs("../..")
	if err != nil {
		m.t.Fatal(err)
	}
	c := exec.CommandContext(m.t.Context(), "nsenter", "-t", m.pid, "-m", "-n", "-p", "-i", "-u", "--wd="+checkout, "bash", "-euo", "pipefail", "-c", commands)
	out, err := c.CombinedOutput()
	return string(out), err
}

// path is where a file of the machine is seen from outside.
func (m *machine) path(name string) string { return filepath.Join("/proc", m.pid, "root", name) }

func (m *machine) read(name string) string {
	m.t.Helper()
	b, err := os.ReadFile(m.path(name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// until waits for a condition on the machine.
func (m *machine) until(what string, done func() bool) {
	m.t.Helper()
	w := &world{t: m.t}
	w.until(what, done)
}

// browser returns how visitors on the machine reach it: all names lead to its
// loopback.
func (m *machine) browser(roots *tls.Config) *http.Transport {
	return &http.Transport{
		TLSClientConfig: roots,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return m.dial(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
}

// dial connects within the machine. A socket stays in the network that its
// thread was in when it was made; a thread that cannot be brought back ends.
func (m *machine) dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		own, err2 := os.Open("/proc/thread-self/ns/net")
		if err = err2; err != nil {
			return
		}
		defer own.Close()
		there, err2 := os.Open(filepath.Join("/proc", m.pid, "ns/net"))
		if err = err2; err != nil {
			return
		}
		defer there.Close()
		if err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		if unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
	return c, err
}
