// Command caddy is Caddy with the password_reset module compiled in.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "time/tzdata"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-password-reset/caddy-password-reset"
)

func main() {
	caddycmd.Main()
}
