// Package tiny is tried by the tests of the campaign.
package tiny

// Clamp returns n within bounds.
func Clamp(n, least, most int) int {
	if n < least {
		return least
	}
	if n > most {
		return most
	}
	return n
}
