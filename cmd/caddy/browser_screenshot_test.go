package main

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

var updateScreenshots = flag.Bool("update-screenshots", false, "write docs/screenshots anew")

// TestScreenshots writes the pictures of the documentation: pages and mails, on
// a phone and on a desk, light and dark.
func TestScreenshots(t *testing.T) {
	if !*updateScreenshots {
		t.Skip("only with -update-screenshots")
	}
	w := newWorld(t)
	p := newTab(t, newChromium(t), w)
	w.start()
	shown := []string{"ask", "sent", "new", "refused", "done", "pending", "gone", "cancel"}
	tour{
		w: w, p: p, mail: p.shoot,
		page: func(name string) {
			if slices.Contains(shown, name) {
				p.shoot(name)
			}
		},
	}.walk(t)
}

// shoot writes pictures of the page, in both colour schemes if it has both.
func (p *tab) shoot(name string) {
	p.t.Helper()
	dir := filepath.Join("..", "..", "docs", "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if name == "refused" {
		p.do(chromedp.Blur(chromedp.CSS("#password")))
	}
	for _, screen := range []struct {
		name          string
		width, height int64
		options       []chromedp.EmulateViewportOption
	}{
		{"phone", 390, 844, []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateScale(2)}},
		{"desktop", 1280, 800, nil},
	} {
		p.do(chromedp.EmulateViewport(screen.width, screen.height, screen.options...))
		var light []byte
		for _, scheme := range []string{"light", "dark"} {
			p.scheme(scheme)
			shot := p.picture(screen.width, screen.height)
			if bytes.Equal(shot, light) {
				continue // it knows one scheme only
			}
			light = shot
			file := filepath.Join(dir, name+"-"+screen.name+"-"+scheme+".png")
			if err := os.WriteFile(file, shot, 0o644); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	p.do(chromedp.EmulateReset())
}

// picture returns the page as a PNG, all of it if it is longer than the screen.
func (p *tab) picture(width, height int64) []byte {
	p.t.Helper()
	beyond := true
	long := evaluate[float64](p, "document.documentElement.scrollHeight")
	shot, err := chromedp.Call(p.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
		CaptureBeyondViewport: &beyond,
		Clip:                  &page.Viewport{Width: float64(width), Height: math.Max(float64(height), long), Scale: 1},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return shot.Data
}
