//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// group gives a command a process group of its own, whose end takes along what
// tests have started and could not stop any more.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}

// endGroup ends what is left of the group. The group keeps its number from
// being given away for as long as anything is in it.
func endGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}
