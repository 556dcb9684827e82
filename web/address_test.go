package web_test

import (
	"strings"
	"testing"

	"github.com/caddy-password-reset/caddy-password-reset/web"
)

func TestCheckPath(t *testing.T) {
	for _, path := range []string{"", "/", "/v2", "/v2/", "/Old/Api-1_2.x~"} {
		if err := web.CheckPath(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"v2", " ", "//", "/v2//", "/v2//x", "/v2/../x", "/.", "/v2 x", "/v2%20", "/v2?", "/v2#x", "/v2;x", "/{x}", "/{env.X}", "/*", `/\x`, "/é"} {
		if err := web.CheckPath(path); err == nil || !strings.HasPrefix(err.Error(), "path ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
