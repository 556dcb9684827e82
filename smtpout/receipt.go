package smtpout

import "strings"

// maxReceipt is enough for a queue id, and for a page of an operator's screen
// to stay one however much a relay says.
const maxReceipt = 80

// receipt returns what the relay said to a mail that it took, fit to be shown
// to an operator: a line of printable ASCII, lest it steers a terminal. There
// is none if it tells who got the mail, in part or whole.
func receipt(said string, e envelope) string {
	// Some relays quote the recipient without its domain, or with the "@" in
	// another spelling.
	local, _, _ := strings.Cut(e.to, "@")
	if strings.Contains(said, "@") || strings.Contains(asciiUpper(said), asciiUpper(local)) {
		return ""
	}
	var line strings.Builder
	line.WriteString("250")
	for _, word := range strings.Fields(said) {
		line.WriteByte(' ')
		for _, r := range word {
			if r < '!' || r > '~' {
				r = '?'
			}
			line.WriteByte(byte(r))
		}
	}
	text := line.String()
	return strings.TrimRight(text[:min(len(text), maxReceipt)], " ")
}
