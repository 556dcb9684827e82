package caddymodule_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestMonitoring holds docs/dashboard.json and docs/alerts.yaml against what a
// Caddy shows after people were there: each name, label and value in them is
// there, and none of our metrics is in neither.
func TestMonitoring(t *testing.T) {
	w := newWatched(t)
	w.mustLoad(config{})
	w.journey()
	scrape := w.scrape()
	shown := expose(scrape)
	used := make(map[string]bool)
	for where, text := range map[string]func(*testing.T, exposition) []expression{"dashboard": readDashboard, "alerts": readAlerts} {
		t.Run(where, func(t *testing.T) {
			for _, e := range text(t, shown) {
				for _, name := range e.series {
					used[name] = true
				}
			}
		})
	}
	families := family.FindAllStringSubmatch(scrape, -1)
	if len(families) < 20 {
		t.Errorf("only %d metrics are ours", len(families))
	}
	for _, f := range families {
		if !used[f[1]] && !used[f[1]+"_bucket"] {
			t.Errorf("%s is neither in the dashboard nor in the alerts", f[1])
		}
	}
}

// TestExpressions holds that what does not fit is noticed.
func TestExpressions(t *testing.T) {
	shown := expose(`caddy_password_reset_mails_total{kind="mail",outcome="sent",site="a"} 1
caddy_password_reset_mails_total{kind="mail",outcome="rejected",site="a"} 1
caddy_password_reset_store_open 1
`)
	for text, good := range map[string]bool{
		`caddy_password_reset_store_open == 0`: true,
		`sum by (site, instance) (rate(caddy_password_reset_mails_total{outcome=~"sent|rejected",site=~"$site"}[5m])) > 1`: true,
		`sum by (site) (increase(caddy_password_reset_mails_total{outcome!="sent"}[1h])) > 14 * 86400`:                     true,
		`caddy_password_reset_store_opened == 0`:                 false,
		`sum by (call) (caddy_password_reset_mails_total)`:       false,
		`caddy_password_reset_mails_total{call="sent"}`:          false,
		`caddy_password_reset_mails_total{outcome="send"}`:       false,
		`caddy_password_reset_mails_total{outcome=~"sent|lost"}`: false,
		`rates(caddy_password_reset_mails_total[5m])`:            false,
		`rate(caddy_password_reset_mails_total[5m]`:              false,
		`rate(caddy_password_reset_mails_total[5 minutes])`:      false,
		`caddy_mails_total`: false,
		`1 > 0`:             false,
	} {
		if _, err := shown.read(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

type gridPos struct{ H, W, X, Y int }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  gridPos
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                struct{ UID string }
	}
}

func readDashboard(t *testing.T, shown exposition) (all []expression) {
	text, err := os.ReadFile("../docs/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Title, UID    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type, Definition string }
		}
		Panels []panel
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" || d.SchemaVersion < 39 { // Grafana 11
		t.Errorf("dashboard %q, %q, schema %d", d.Title, d.UID, d.SchemaVersion)
	}
	variables := []string{"$__rate_interval"}
	for _, v := range d.Templating.List {
		variables = append(variables, "$"+v.Name)
		if v.Type == "datasource" {
			continue
		}
		of := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Definition)
		if of == nil || shown[of[1]] == nil || !shown.has(of[1:2], of[2]) {
			t.Errorf("variable %s: %s", v.Name, v.Definition)
		}
	}
	ids := make(map[int]bool)
	taken := make(map[[2]int]string)
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s has the id of another panel", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("%s lies over %q, or beside the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q lacks title, description, unit, data source or target", p.Title)
		}
		for _, target := range p.Targets {
			e, err := shown.read(target.Expr)
			if err != nil {
				t.Errorf("%s: %s: %v", p.Title, target.Expr, err)
			}
			for _, v := range regexp.MustCompile(`\$\w+`).FindAllString(target.Expr, -1) {
				if !slices.Contains(variables, v) {
					t.Errorf("%s: there is no variable %s", p.Title, v)
				}
			}
			for _, l := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !slices.Contains(e.grouped, l[1]) {
					t.Errorf("%s: the legend has %s, by which nothing is grouped", p.Title, l[1])
				}
			}
			if target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: the data source is fixed", p.Title)
			}
			all = append(all, e)
		}
	}
	return all
}

func readAlerts(t *testing.T, shown exposition) (all []expression) {
	text, err := os.ReadFile("../docs/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if names[r.Alert] || r.Alert == "" || len(r.Annotations) != 3 {
				t.Errorf("alert %q is there twice, or has %d annotations", r.Alert, len(r.Annotations))
			}
			names[r.Alert] = true
			e, err := shown.read(r.Expr)
			if err != nil {
				t.Errorf("%s: %s: %v", r.Alert, r.Expr, err)
			}
			all = append(all, e)
			if !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) || r.For != "" && !regexp.MustCompile(`^[0-9]+[mh]$`).MatchString(r.For) {
				t.Errorf("%s: severity %q, for %q", r.Alert, r.Labels["severity"], r.For)
			}
			for _, name := range []string{"summary", "description"} {
				if r.Annotations[name] == "" {
					t.Errorf("%s has no %s", r.Alert, name)
				}
				for _, l := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations[name], -1) {
					if !slices.Contains(e.grouped, l[1]) {
						t.Errorf("%s: the %s has %s, by which nothing is grouped", r.Alert, name, l[1])
					}
				}
			}
			page, section, _ := strings.Cut(r.Annotations["runbook"], "#")
			if !strings.HasPrefix(page, "docs/operators/") || section != "" && !slices.Contains(anchors(t, page), section) {
				t.Errorf("%s: there is no section %s", r.Alert, r.Annotations["runbook"])
			}
		}
	}
	if len(names) < 10 {
		t.Errorf("only %d alerts", len(names))
	}
	return all
}

// anchors are the sections of a page of the manual, as links have them.
func anchors(t *testing.T, page string) (all []string) {
	t.Helper()
	text, err := os.ReadFile("../" + page)
	if err != nil {
		t.Fatal(err)
	}
	for _, title := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(title[1]), "")
		all = append(all, strings.ReplaceAll(anchor, " ", "-"))
	}
	return all
}

// TestDocumentedMetrics holds the tables of metrics, steps, outcomes and routes
// that operators read.
func TestDocumentedMetrics(t *testing.T) {
	w := newWatched(t)
	w.mustLoad(config{})
	w.journey()
	scrape := w.scrape()
	shown := expose(scrape)
	text := manual(t)
	for _, f := range family.FindAllStringSubmatch(scrape, -1) {
		name := f[1]
		row := regexp.MustCompile("(?m)^\\| `" + strings.TrimPrefix(name, ours) + "` \\|([^|]*)\\|").FindStringSubmatch(text)
		if row == nil {
			t.Errorf("%s is in no table of docs/operators/watching.md", name)
			continue
		}
		series := shown[name]
		if series == nil {
			series = shown[name+"_bucket"]
		}
		for l, values := range series {
			if l == "le" {
				continue
			}
			if !strings.Contains(row[1], "`"+l+"`") {
				t.Errorf("%s: the table does not have the label %s", name, l)
			}
			if l == "site" {
				continue
			}
			for _, v := range values {
				if !strings.Contains(row[1], v) {
					t.Errorf("%s: the table does not have the value %s of %s", name, v, l)
				}
			}
		}
	}
	for _, name := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [^|]*`site`").FindAllStringSubmatch(text, -1) {
		if shown[ours+name[1]] == nil && shown[ours+name[1]+"_bucket"] == nil {
			t.Errorf("there is no metric %s", name[1])
		}
	}
}

// manual is the page that has the tables.
func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/operators/watching.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocumentedWords holds that operators can look up each step and outcome.
func TestDocumentedWords(t *testing.T) {
	text := manual(t)
	for file, declared := range map[string]string{
		"../reset/observer.go": `(?m)^\tStep\w+ +Step = "(\w+)"`,
		"audit.go":             `(?m)^\tstep\w+ reset\.Step = "(\w+)"`,
		"../web/answer.go":     `(?m)^\tOutcome\w+ +Outcome = "(\w+)"`,
		"../web/route.go":      `(?m)^\tkind\w+: +"(\w+)",`,
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all := regexp.MustCompile(declared).FindAllStringSubmatch(string(source), -1)
		if len(all) < 10 && (file != "audit.go" || len(all) < 2) {
			t.Errorf("%s declares %d words", file, len(all))
		}
		for _, word := range all {
			isRoute := strings.HasSuffix(file, "route.go") && regexp.MustCompile("(?m)^\\| `{http.password_reset.route}` .*`"+word[1]+"`").MatchString(text)
			if !isRoute && !regexp.MustCompile("(?m)^\\| `"+word[1]+"` \\| \\S").MatchString(text) {
				t.Errorf("docs/operators/watching.md has no row for %s", word[1])
			}
		}
	}
}
