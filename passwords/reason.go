package passwords

// A Code names why a password is not acceptable. It is stable: the JSON API
// and the message catalogues use it.
type Code string

// The reasons.
const (
	TooShort Code = "too_short" // fewer code points than Rules.MinLength
	TooLong  Code = "too_long"  // more code points than Rules.MaxLength, or more bytes than Rules.MaxBytes
	NotText  Code = "not_text"  // invalid UTF-8, NUL or a control character
	Common   Code = "common"    // on the list of common passwords, or on the operator's
	Expected Code = "expected"  // the login, address, name or site, or built around one of them
)

// A Reason says why a password is not acceptable. Limit goes with TooShort
// and TooLong, in code points (for a limit in bytes, Bytes is true).
type Reason struct {
	Code  Code `json:"code"`
	Limit int  `json:"limit,omitempty"`
	Bytes bool `json:"bytes,omitempty"`
}

// Rules is what a person, a password manager or a client must know before
// choosing a password.
type Rules struct {
	MinLength int `json:"min_length"` // code points
	MaxLength int `json:"max_length"` // code points
	MaxBytes  int `json:"max_bytes"`  // bytes of UTF-8
}
