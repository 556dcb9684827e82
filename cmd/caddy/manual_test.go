package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	manualLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	manualHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	manualFence   = regexp.MustCompile("(?ms)^```.*?^```$")
)

// Who follows a link at 3 a.m. finds what it promises, and each page of the
// manual leads to all others.
func TestManualHoldsTogether(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/operators/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	const lead = "../../docs/operators.md"
	for _, page := range append(pages, lead) {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var linked []string
		for _, link := range manualLink.FindAllStringSubmatch(manualFence.ReplaceAllString(string(content), ""), -1) {
			path, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			linked = append(linked, target)
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s leads to %s: %v", page, link[1], err)
			} else if anchor != "" && !slices.Contains(anchors(t, target), anchor) {
				t.Errorf("%s leads to %s: there is no such heading", page, link[1])
			}
		}
		for _, other := range append(pages, lead) {
			if other != page && !slices.Contains(linked, other) {
				t.Errorf("%s does not lead to %s", page, other)
			}
		}
	}
}

// anchors returns what the headings of a page are linked by.
func anchors(t *testing.T, page string) (all []string) {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	other := regexp.MustCompile(`[^a-z0-9 _-]`)
	for _, h := range manualHeading.FindAllStringSubmatch(manualFence.ReplaceAllString(string(content), ""), -1) {
		all = append(all, strings.ReplaceAll(other.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}
