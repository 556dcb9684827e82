package dialect_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/caddy-password-reset/caddy-password-reset/web/dialect"
)

func TestDuration(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration // 0: refused
	}{
		{"15m", 15 * time.Minute},
		{"24h0m0s", 24 * time.Hour},
		{"1.5h", 90 * time.Minute},
		{"0s", 0},
		{"-15m", 0},
		{"15", 0},
		{"", 0},
		{"a day", 0},
	} {
		var d dialect.Duration
		err := d.UnmarshalText([]byte(tt.text))
		if time.Duration(d) != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%q: %s, %v, want %s", tt.text, time.Duration(d), err, tt.want)
		}
	}
	data, err := json.Marshal(dialect.Duration(15 * time.Minute))
	if err != nil || string(data) != `"15m0s"` {
		t.Errorf("JSON %s, %v", data, err)
	}
}
