// Command steps is what the test of package crashpoint has killed.
package main

import (
	"fmt"
	"path/filepath"
	"runtime"
)

type counter struct {
	n int
}

func main() {
	c := &counter{}
	for range 4 {
		c.step()
	}
	fmt.Println(where())
}

// step counts, and says which kind of number it has left behind.
func (c *counter) step() {
	switch c.n++; c.n % 2 {
	case 1:
		fmt.Println("even")
	default:
		fmt.Println("odd")
	}
}
func where() string { _, file, line, _ := runtime.Caller(0); return fmt.Sprintf("%s:%d", filepath.Base(file), line) }
