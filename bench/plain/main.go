// Command plain is Caddy with its standard modules and nothing of ours: what the
// benchmark compares with.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "time/tzdata"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() {
	caddycmd.Main()
}
