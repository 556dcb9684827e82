package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// tracedCalls are what the program could change a file or answer a visitor by.
const tracedCalls = "openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,splice,mmap," +
	"fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,unlink,unlinkat,sendto,sendmsg"

// descriptor reads what begins with one: 7<\x2f…> or 7<TCP:[…]>.
func descriptor(args string) (fd int, path string, err error) {
	number, rest, found := strings.Cut(args, "<")
	if i := strings.LastIndexByte(number, ' '); i >= 0 {
		number = number[i+1:] // mmap has it last but one
	}
	if !found {
		return 0, "", nil // such as the -1 of an mmap without a file
	}
	if fd, err = strconv.Atoi(number); err != nil {
		return 0, "", err
	}
	// A socket's peer holds a > of its own.
	end := strings.Index(rest, ">,")
	if end < 0 {
		end = strings.LastIndexByte(rest, '>')
	}
	if end < 0 {
		return 0, "", fmt.Errorf("no end of a descriptor")
	}
	p, err := unescape(rest[:end])
	return fd, strings.TrimSuffix(string(p), " (deleted)"), err
}

// text reads the first string in args, and returns what follows it.
func text(args string) (data []byte, rest string, err error) {
	_, after, found := strings.Cut(args, `"`)
	escaped, rest, closed := strings.Cut(after, `"`)
	if !found || !closed || strings.HasPrefix(rest, "...") {
		return nil, "", fmt.Errorf("no whole string")
	}
	data, err = unescape(escaped)
	return data, rest, err
}

// unescape undoes the \x2f of strace -xx; what is not escaped stays.
func unescape(s string) ([]byte, error) {
	if !strings.HasPrefix(s, `\x`) {
		return []byte(s), nil
	}
	return hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
}
