package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-password-reset/caddy-password-reset/reset"
)

// maxAnswer bounds what a command reads of an answer, in bytes: the jobs of some
// twenty full sites. Whoever answers at an admin address may be no Caddy.
const maxAnswer = 32 << 20

// maxAnswerText bounds one text of an answer, in code points.
const maxAnswerText = 4000

// decodePlain reads one answer of an admin endpoint whose texts are plain: what
// else answers there must not write to the operator's terminal what it likes.
func decodePlain(from io.Reader, into any) error { return nextPlain(json.NewDecoder(from), into) }

// nextPlain is decodePlain for the next of several.
func nextPlain(from *json.Decoder, into any) error {
	from.UseNumber()
	var v any
	err := from.Decode(&v)
	if errors.As(err, new(*http.MaxBytesError)) {
		return fmt.Errorf("it is longer than %d MiB; is that the admin endpoint of Caddy?", maxAnswer>>20)
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(plain(v))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// plain makes all texts within v plain.
func plain(v any) any {
	switch v := v.(type) {
	case string:
		return reset.PlainText(v, maxAnswerText)
	case []any:
		for n := range v {
			v[n] = plain(v[n])
		}
	case map[string]any:
		for name := range v {
			v[name] = plain(v[name])
		}
	}
	return v
}
