package passwords

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

const phrase = "cobalt wälnut teacup ferry"

func TestUnknownFormat(t *testing.T) {
	for _, format := range []string{"", "plain", "md5", "BCRYPT"} {
		if h, err := NewHasher(format); h != nil || err == nil || !strings.Contains(err.Error(), "bcrypt or argon2id") {
			t.Errorf("%q: %v", format, err)
		}
	}
}

func TestBcrypt(t *testing.T) {
	h, err := NewHasher("bcrypt")
	if err != nil {
		t.Fatal(err)
	}
	if h.Format() != "bcrypt" {
		t.Errorf("format %q", h.Format())
	}
	for _, password := range []string{phrase, strings.Repeat("x", 72)} {
		hash, err := h.Hash(password)
		if err != nil {
			t.Fatal(err)
		}
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)); err != nil {
			t.Error(err)
		}
		if cost, _ := bcrypt.Cost([]byte(hash)); cost != 10 {
			t.Errorf("cost %d", cost)
		}
	}
	if hash, err := h.Hash(strings.Repeat("x", 73)); !errors.Is(err, errTooLong) || hash != "" {
		t.Errorf("73 bytes: %q, %v", hash, err)
	}
}

func TestArgon2id(t *testing.T) {
	h, err := NewHasher("argon2id")
	if err != nil {
		t.Fatal(err)
	}
	if h.Format() != "argon2id" {
		t.Errorf("format %q", h.Format())
	}
	first, err := h.Hash(phrase)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := h.Hash(phrase)
	if first == second {
		t.Error("two hashes under one salt")
	}

	var version, memory, passes uint32
	var lanes uint8
	parts := strings.Split(first, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		t.Fatalf("not a PHC string: %q", first)
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &passes, &lanes); err != nil {
		t.Fatal(err)
	}
	if version != argon2.Version || memory < 19456 || passes < 2 {
		t.Errorf("weaker than the OWASP minimum: %q", first)
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil || len(salt) != 16 {
		t.Fatalf("salt of %d bytes, %v", len(salt), err)
	}
	tag, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(tag) != 32 {
		t.Fatalf("tag of %d bytes, %v", len(tag), err)
	}
	if !bytes.Equal(tag, argon2.IDKey([]byte(phrase), salt, passes, memory, lanes, 32)) {
		t.Error("tag does not verify")
	}
}

// A crowd of resets must not take all processors and memory from the site.
func TestHashesAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := NewHasher("argon2id")
		if err != nil {
			t.Fatal(err)
		}
		var running atomic.Int32
		end := make(chan struct{})
		h.hash = func(string) (string, error) {
			running.Add(1)
			defer running.Add(-1)
			<-end
			return "", nil
		}
		for range runtime.GOMAXPROCS(0) + 5 {
			go func() { _, _ = h.Hash(phrase) }()
		}
		synctest.Wait()
		if got := int(running.Load()); got != runtime.GOMAXPROCS(0) {
			t.Errorf("%d hashes at once on %d processors", got, runtime.GOMAXPROCS(0))
		}
		close(end)
		synctest.Wait()
		if got := running.Load(); got != 0 {
			t.Errorf("%d hashes never end", got)
		}
	})
}
