// Command hello is what the test of package overlay changes.
package main

import "fmt"

func main() { fmt.Println("as it is") }
