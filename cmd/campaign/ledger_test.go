package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever go test says or leaves out, each test that was to run has a row.
func TestRows(t *testing.T) {
	const begin = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestTrialX"}
{"Action":"output","Package":"p","Test":"TestTrialX","Output":"=== RUN   TestTrialX\n"}
`
	const attr = `{"Action":"attr","Package":"p","Test":"TestTrialX","Key":"trial","Value":"{\"name\":\"kill -9\",\"runs\":3,\"violations\":%VIOLATIONS%,\"seed\":7,\"figures\":\"2 ms\"}"}
`
	clean, found := strings.Replace(attr, "%VIOLATIONS%", "0", 1), strings.Replace(attr, "%VIOLATIONS%", "2", 1)
	pass := `{"Action":"pass","Package":"p","Test":"TestTrialX","Elapsed":1.5}
{"Action":"pass","Package":"p","Elapsed":1.6}
`
	fail := strings.ReplaceAll(pass, "pass", "fail")
	for _, tt := range []struct {
		name, events string
		want         []string // state, name, runs and violations, note
	}{
		{"passes", begin + clean + pass, []string{"passed kill -9 3 0 "}},
		{"finds", begin + found + fail, []string{"violated kill -9 3 2 "}},
		{"other attributes", begin + strings.Replace(clean, `"Key":"trial"`, `"Key":"x"`, 1) + pass, []string{"passed p.TestTrialX 1 0 "}},
		{"reports no row", begin + pass, []string{"passed p.TestTrialX 1 0 "}},
		{"fails without a row", begin + fail, []string{"violated p.TestTrialX 1 1 failed without a row"}},
		{"fails though its row is clean", begin + clean + fail, []string{"passed kill -9 3 0 ", "violated p.TestTrialX 1 1 failed without a row"}},
		{"a row that is none", begin + strings.Replace(clean, `{\"name`, `{name`, 1) + pass, []string{`violated p.TestTrialX 0 1 its row does not decode: {name":"kill -9","runs":3,"violations":0,"seed":7,"figures":"2 ms"}`}},
		{
			"is skipped",
			begin + `{"Action":"output","Package":"p","Test":"TestTrialX","Output":"    x_test.go:8: strace is missing\n"}
{"Action":"output","Package":"p","Test":"TestTrialX","Output":"--- SKIP: TestTrialX (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestTrialX"}
{"Action":"pass","Package":"p"}
`,
			[]string{"skipped p.TestTrialX 0 0 strace is missing"},
		},
		{
			"a subtest has the row",
			begin + strings.ReplaceAll(found, "TestTrialX", "TestTrialX/sub") + `{"Action":"fail","Package":"p","Test":"TestTrialX/sub"}
` + fail,
			[]string{"violated kill -9 3 2 "},
		},
		{
			"a subtest is skipped",
			begin + `{"Action":"output","Package":"p","Test":"TestTrialX/sub","Output":"    x_test.go:8: needs root\n"}
{"Action":"skip","Package":"p","Test":"TestTrialX/sub"}
` + clean + pass,
			[]string{"passed kill -9 3 0 ", "skipped p.TestTrialX/sub 0 0 needs root"},
		},
		{"is cut off", begin, []string{"unfinished p.TestTrialX 0 0 did not end"}},
		{"dies", begin + `{"Action":"output","Package":"p","Test":"TestTrialX","Output":"panic: test timed out after 1s\n"}
{"Action":"fail","Package":"p"}
`, []string{"unfinished p.TestTrialX 0 0 did not end"}},
		{"was not begun", "", []string{"unfinished p.TestTrialX 0 0 not begun"}},
		{"is not built", `{"ImportPath":"p [p.test]","Action":"build-output","Output":"x.go:1: undefined: y\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}
`, []string{"unfinished p.TestTrialX 0 0 not begun", "violated package p 0 1 not built"}},
		{"dies after its tests", begin + clean + strings.Replace(pass, `"pass","Package":"p","Elapsed":1.6`, `"fail","Package":"p"`, 1), []string{"passed kill -9 3 0 ", "violated package p 0 1 failed outside its tests"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLedger()
			l.expect(testName{"p", "TestTrialX"})
			if err := readEvents(strings.NewReader(tt.events), l.add); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range l.rows("trials") {
				got = append(got, strings.Join([]string{string(r.State), r.Name, itoa(r.Runs), itoa(r.Violations), r.Note}, " "))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
