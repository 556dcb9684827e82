package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A call is one system call, from its entry on.
type call struct {
	name string
	args string

	synced  *inode // fsync: what it was called for
	folder  bool   // fsync of the folder
	content []byte // at the entry
	version int
	names   map[string]*inode
}

var (
	clientPort = regexp.MustCompile(`->.*:(\d+)\]$`)
	recipient  = regexp.MustCompile(`(?m)^RCPT TO:<([^>]+)>`)
	delivery   = regexp.MustCompile(`(?s)^POST [^ ]*/password-changed HTTP/1\.1\r\n.*?\r\nWebhook-Id: ([^\r]+)\r\n`)
)

// replay reads the output of strace -f -yy -xx -ttt.
func (d *disk) replay(trace io.Reader) error {
	r := bufio.NewReaderSize(trace, 1<<20)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.line(strings.TrimSuffix(line, "\n")); err != nil {
			return fmt.Errorf("%w in %.300s", err, line)
		}
	}
}

// line takes one line: a call that returned at once, one that others overtook,
// or its end.
func (d *disk) line(line string) error {
	thread, line, _ := strings.Cut(line, " ")
	at, line, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	seconds, err := strconv.ParseFloat(at, 64)
	if err != nil {
		return fmt.Errorf("no time")
	}
	d.now = time.UnixMicro(int64(seconds * 1e6))
	if strings.HasPrefix(line, "+++ ") || strings.HasPrefix(line, "--- ") {
		return nil // an exit, a signal
	}
	var c *call
	if rest, ok := strings.CutPrefix(line, "<... "); ok {
		name, rest, _ := strings.Cut(rest, " resumed>")
		if c = d.begun[thread]; c == nil || c.name != name {
			return fmt.Errorf("%s returns without having been called", name)
		}
		delete(d.begun, thread)
		line = rest
	} else {
		name, rest, _ := strings.Cut(line, "(")
		c, line = &call{name: name}, rest
		if args, ok := strings.CutSuffix(line, " <unfinished ...>"); ok {
			c.args = args
			d.begun[thread] = c
			return d.enter(c)
		}
	}
	i := strings.LastIndex(line, "= ")
	if i < 0 {
		return fmt.Errorf("no result")
	}
	entered := c.args != ""
	c.args += strings.TrimSuffix(strings.TrimRight(line[:i], " "), ")")
	if !entered {
		if err := d.enter(c); err != nil {
			return err
		}
	}
	return d.leave(c, line[i+2:])
}

// enter notes what holds at the moment of the call: a sync promises nothing
// about what is written after it began, and what a visitor is told is out once
// the kernel has it.
func (d *disk) enter(c *call) error {
	switch c.name {
	case "fsync", "fdatasync":
		fd, path, err := descriptor(c.args)
		if err != nil {
			return err
		}
		switch {
		case path == d.dir:
			c.folder, c.names = true, maps.Clone(d.names)
		case d.covers(path):
			f := d.fds[fd]
			if f == nil {
				return fmt.Errorf("unknown descriptor")
			}
			c.synced, c.content, c.version = f, bytes.Clone(f.data), f.version
		}
	case "write", "sendto":
		_, peer, err := descriptor(c.args)
		if err != nil {
			return err
		}
		port := clientPort.FindStringSubmatch(peer)
		if port == nil || !strings.HasPrefix(peer, "TCP") {
			return nil
		}
		data, _, err := text(c.args)
		if err != nil {
			return err
		}
		if bytes.HasPrefix(data, []byte("HTTP/1.1 ")) {
			d.cut(answerTo(port[1]))
		} else if to := recipient.FindSubmatch(data); to != nil {
			address := string(to[1])
			d.mails[address]++
			d.cut(mailTo(address, d.mails[address]))
		} else if id := delivery.FindSubmatch(data); id != nil {
			d.cut(changeOf(string(id[1])))
		}
	}
	return nil
}

// leave does what the call has done now that it has returned.
func (d *disk) leave(c *call, result string) error {
	result, _, _ = strings.Cut(result, " ") // the name of an error
	result, _, _ = strings.Cut(result, "<") // the path of a descriptor
	n, err := strconv.Atoi(result)
	if err != nil || n < 0 {
		return nil // it failed, or the program ended
	}
	switch c.name {
	case "openat":
		path, rest, err := text(c.args)
		if err != nil {
			return err
		}
		name, ours := d.name(string(path))
		if !ours {
			return nil
		}
		f := d.names[name]
		if f == nil {
			if !strings.Contains(rest, "O_CREAT") {
				return fmt.Errorf("opens a file that is not there")
			}
			f = new(inode)
			d.names[name] = f
		} else if strings.Contains(rest, "O_TRUNC") {
			f.write(nil, 0, true)
		}
		d.fds[n] = f
		return nil
	case "fsync", "fdatasync":
		switch {
		case c.folder:
			d.durable = c.names
		case c.synced != nil && c.version >= c.synced.keptVersion:
			c.synced.kept, c.synced.keptVersion = c.content, c.version
			d.syncs++
		}
		return nil
	case "link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat":
		return d.rename(c)
	case "sendmsg":
		return nil
	}

	// The others are about a descriptor.
	fd, path, err := descriptor(c.args)
	if err != nil || !d.covers(path) {
		if c.name == "mmap" {
			return nil // memory of its own
		}
		return err
	}
	f := d.fds[fd]
	if f == nil {
		return fmt.Errorf("unknown descriptor")
	}
	switch c.name {
	case "write", "pwrite64":
		data, rest, err := text(c.args)
		if err != nil {
			return err
		}
		at := len(f.data) // nothing here writes but at the end
		if c.name == "pwrite64" {
			if at, err = strconv.Atoi(rest[strings.LastIndexByte(rest, ' ')+1:]); err != nil {
				return err
			}
		}
		f.write(data[:n], at, false)
	case "ftruncate":
		size, err := strconv.Atoi(c.args[strings.LastIndexByte(c.args, ' ')+1:])
		if err != nil {
			return err
		}
		f.write(nil, size, true)
	case "mmap":
		if strings.Contains(c.args, "PROT_WRITE") && strings.Contains(c.args, "MAP_SHARED") {
			return fmt.Errorf("changes a file in memory, where the replay is blind")
		}
	default:
		return fmt.Errorf("changes a file in a way that the replay does not know")
	}
	return nil
}

// rename does what is done to names.
func (d *disk) rename(c *call) error {
	first, rest, err := text(c.args)
	if err != nil {
		return err
	}
	from, ours := d.name(string(first))
	if strings.HasPrefix(c.name, "unlink") {
		if ours {
			delete(d.names, from)
		}
		return nil
	}
	second, _, err := text(rest)
	if err != nil {
		return err
	}
	to, too := d.name(string(second))
	if !ours && !too {
		return nil
	}
	f := d.names[from]
	if f == nil || !too {
		return fmt.Errorf("names a file that is not there")
	}
	d.names[to] = f
	if strings.HasPrefix(c.name, "rename") {
		delete(d.names, from)
	}
	return nil
}
