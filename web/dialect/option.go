package dialect

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

// revealing warns of the option reveal_accounts.
const revealing = "reveal_accounts: clients that show the credential are told whether an account exists"

// mount returns what stands before the vendor's paths: "" for the root.
func mount(path string) string { return strings.TrimSuffix(path, "/") }

// among tells whether a credential is one of those listed, in a time that
// depends on neither.
func among(credential string, list []string) bool {
	got := sha256.Sum256([]byte(credential))
	found := 0
	for _, known := range list {
		want := sha256.Sum256([]byte(known))
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1
}
