package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// A usage is what a process takes of the machine.
type usage struct{ pid int }

// clockTick is the unit of times in /proc, the same on every Linux that Go runs
// on (proc(5), USER_HZ).
const clockTick = 10 * time.Millisecond

// cpu returns the processor time that the process has taken.
func (u *usage) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", u.pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in brackets, may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	ticks := 0
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(string(field))
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// written returns how many bytes the process has had written to disks (proc(5),
// write_bytes).
func (u *usage) written() (int64, error) {
	return u.field("io", "write_bytes:")
}

// memory returns the resident memory, without mapped files, in MiB: now.
func (u *usage) memory() (float64, error) {
	kib, err := u.field("status", "RssAnon:")
	return float64(kib) / 1024, err
}

// field returns the number in a line of one of the process's files.
func (u *usage) field(file, name string) (int64, error) {
	lines, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", u.pid, file))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(lines) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			return strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in %s of process %d", name, file, u.pid)
}
