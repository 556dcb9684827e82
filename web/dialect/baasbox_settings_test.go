package dialect

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/baasbox-dump.json is what GET /admin/configuration/dump.json of
// BaasBox 0.9.5 answers with the settings that a new database has (its
// conf/configuration.conf), sections PasswordRecovery and Application.
func readDump(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/baasbox-dump.json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// flat makes of the dump the answer to GET /admin/configuration/PasswordRecovery.
func flat(t testing.TB, dump []byte) []byte {
	t.Helper()
	var answer struct {
		Data []struct {
			Parts map[string][]map[string]any `json:"sub sections"`
		} `json:"data"`
	}
	if err := json.Unmarshal(dump, &answer); err != nil {
		t.Fatal(err)
	}
	var entries []map[string]any
	for _, part := range answer.Data[0].Parts {
		for _, e := range part {
			for key, value := range e {
				switch key {
				case "description", "type", "editable", "visible", "overridden":
				default:
					entries = append(entries, map[string]any{
						"key": key, "value": value, "description": e["description"], "type": e["type"], "editable": true, "overridden": false,
					})
				}
			}
		}
	}
	data, err := json.Marshal(map[string]any{"result": "ok", "data": entries, "http_code": 200})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBaasBoxSettingsOfADump(t *testing.T) {
	dump := readDump(t)
	want, err := parseBaasboxSettings(dump)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		baasboxSubject: "BaasBox: reset password", baasboxExpiration: "15", baasboxName: "BaasBox", "network.smtp.port": "25", "email.from": "info@example.com",
	} {
		if want[key] != value {
			t.Errorf("%s: %q, want %q", key, want[key], value)
		}
	}
	if len(want) != 19 {
		t.Errorf("%d settings", len(want))
	}
	if diff := cmp.Diff([]string{
		"email.from: not used; write `from` in the site",
		"network.http.*: not used; write `base_url` in the site",
		"network.smtp.*: not used; write `smtp` in the global block or in the site",
	}, want.unused()); diff != "" {
		t.Error(diff)
	}
	// As servers with baasbox.wrapresponse=false send it, and as the vendor's
	// documentation prints it.
	bare := bytes.TrimSuffix(bytes.TrimPrefix(dump, []byte(`{"result":"ok","data":`)), []byte(`,"http_code":200}`))
	printed := append(append([]byte("\ufeff{\r\n\"http_code\":200,\"data\":"), bare...), ",\"result\":\"ok\"}\r\n"...)
	for name, data := range map[string][]byte{"bare": bare, "printed": printed} {
		got, err := parseBaasboxSettings(data)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	got, err := parseBaasboxSettings(flat(t, dump))
	if err != nil {
		t.Fatal(err)
	}
	for key := range want {
		if strings.HasPrefix(key, "application.") || strings.HasPrefix(key, "session_tokens.") || strings.HasPrefix(key, "network.http.") {
			delete(want, key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the answer for one section:\n%s", diff)
	}
}

func TestBaasBoxSettings(t *testing.T) {
	const prefix = "baasbox.settings.PasswordRecovery."
	for _, tt := range []struct {
		name, data string
		want       baasboxSettings
	}{
		{"old entry", `[{"section":"PasswordRecovery","sub sections":{"email":[{"email.subject":"S","description":"d","type":"String"}]}}]`, baasboxSettings{"email.subject": "S"}},
		{"null", `{"data":[{"key":"email.subject","value":"S"},{"key":"email.from","value":null}]}`, baasboxSettings{"email.subject": "S"}},
		{"empty", `{"data":[{"key":"email.subject","value":"S"},{"key":"email.from","value":""}]}`, baasboxSettings{"email.subject": "S"}},
		{"hidden", `{"data":[{"key":"email.subject","value":"S"},{"key":"network.smtp.password","value":"--HIDDEN--"}]}`, baasboxSettings{"email.subject": "S"}},
		{"line ends", `{"data":[{"key":"email.template.text","value":"a\r\nb"}]}`, baasboxSettings{"email.template.text": "a\nb"}},
		{"other sections", `[{"section":"Push","sub sections":7},{"section":"PasswordRecovery","sub sections":{"email":[{"email.subject":"S"}]}}]`, baasboxSettings{"email.subject": "S"}},

		{"lines", `
# comment
// another
` + prefix + `email.subject.value="Reset \"it\" \u00e9 \\ # //"
` + prefix + `email.from.value = info   # bare
` + prefix + `network.smtp.host.value: mail.example.com // bare
` + prefix + `network.smtp.port.value=587
` + prefix + `network.smtp.port.visible=false
` + prefix + `network.smtp.port.editable=false
baasbox.settings.Application.application.name.value=overridden app name
baasbox.settings.Push.sandbox.enable.value=${x}
`, baasboxSettings{
			"email.subject": `Reset "it" é \ # //`, "email.from": "info", "network.smtp.host": "mail.example.com", "network.smtp.port": "587", "application.name": "overridden app name",
		}},
		{"other case", prefix + `Email.SUBJECT.value="S"`, baasboxSettings{"email.subject": "S"}},
		{"windows", "\ufeff" + prefix + "email.subject.value=\"S\"\r\n" + prefix + "email.from.value=a\r\n", baasboxSettings{"email.subject": "S", "email.from": "a"}},
		{"null and empty", prefix + "email.subject.value=\"S\"\n" + prefix + "email.from.value=null\n" + prefix + "network.smtp.user.value=\"\"\n" + prefix + "network.smtp.host.value=", baasboxSettings{"email.subject": "S"}},
		{"text null", prefix + `email.subject.value="null"`, baasboxSettings{"email.subject": "null"}},
		{"several lines", prefix + "email.template.text.value=\"\"\"Hi $user_name$ \\n\n\n  baasbox.settings.x\n$link$ \"\"\" # end\n" + prefix + "email.subject.value=S", baasboxSettings{
			"email.template.text": "Hi $user_name$ \\n\n\n  baasbox.settings.x\n$link$ ", "email.subject": "S",
		}},
		{"quotes at the end", prefix + `email.template.text.value="""say "$link$""""`, baasboxSettings{"email.template.text": `say "$link$"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseBaasboxSettings([]byte(tt.data))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestBaasBoxSettingsRefused(t *testing.T) {
	const prefix = "baasbox.settings.PasswordRecovery."
	const foreign = "not an exported configuration of BaasBox"
	for _, tt := range []struct{ name, data, want string }{
		{"empty", " \n", "the file is empty"},
		{"something else", "hello", foreign},
		{"zip", "PK\x03\x04\x00", foreign},
		{"not UTF-8", "{\"data\":\"\xff\"}", foreign},
		{"dump.txt", "Configurations for password recovery related properties\nPASSWORDRECOVERY\n  - EMAIL\n      + email.template.text = Hi $user_name$\nwe\n\n      + email.subject = S\n", "dump.txt does not tell where a value ends"},
		{"error", `{"result":"error","message":"hush","http_code":401}`, "this is an error answer"},
		{"broken off", `{"result":"ok","data":[`, "not JSON"},
		{"no data", `{"result":"ok"}`, foreign},
		{"text", `{"data":"hush"}`, foreign},
		{"array of text", `["hush"]`, foreign},
		{"two documents", `[] []`, foreign},
		{"smuggled member", `[],"x":[]`, foreign},
		{"objects of others", `[{"class":"_BB_Index","key2":"x"}]`, foreign},
		{"no sub sections", `[{"section":"PasswordRecovery"}]`, foreign},
		{"sub section without list", `[{"section":"PasswordRecovery","sub sections":{"email":{}}}]`, foreign},
		{"entry with two", `[{"section":"PasswordRecovery","sub sections":{"email":[{"email.subject":"hush","email.from":"hush"}]}}]`, foreign},
		{"entry with none", `[{"section":"PasswordRecovery","sub sections":{"email":[{"type":"String"}]}}]`, foreign},
		{"number", `[{"key":"email.expiration.time","value":15}]`, "email.expiration.time: its value is not text"},
		{"half a character", `[{"key":"email.subject","value":"\ud800"}]`, "email.subject: its value is not text"},
		{"no value", `[{"key":"hush HUSH","name":"x"}]`, "a setting: its value is not text"},
		{"twice", `[{"key":"email.subject","value":"hush"},{"key":"Email.Subject","value":"hush"}]`, "email.subject: it stands there twice"},
		{"nothing set", `[{"key":"email.subject","value":null}]`, "it has no value for any setting"},
		{"only others", `[{"section":"Push","sub sections":{}}]`, "it has no value for any setting"},

		{"other line", prefix + "email.subject.value=S\napplication.code=hush", "line 2: only lines baasbox.settings."},
		{"block", "baasbox.settings.PasswordRecovery {\n}", "line 1: only lines"},
		{"no ending", "# c\n" + prefix + "email.subject=hush", "line 2: the ending .value is missing"},
		{"appended", prefix + "email.subject.value+=hush", "line 1: the ending .value is missing"},
		{"no key", "baasbox.settings.x=hush", "line 1: SECTION, KEY or the ending .value is missing"},
		{"line twice", prefix + "email.subject.value=a\n" + prefix + "email.subject.value=hush", "line 2: email.subject: it stands there twice"},
		{"substitution", prefix + "email.subject.value=${hush}", "line 1: email.subject: write the value in quotes"},
		{"bare address", prefix + "email.from.value=hush@example.com", "line 1: email.from: write the value in quotes"},
		{"open quote", prefix + `email.subject.value="hush`, "line 1: email.subject: the text in quotes is damaged"},
		{"joined", prefix + `email.subject.value="hush" hush`, "line 1: email.subject: something follows"},
		{"open triple", "\n" + prefix + "email.template.text.value=\"\"\"hush\n\nhush", `line 2: email.template.text: """ is missing at the end`},
		{"line after a triple", prefix + "email.template.text.value=\"\"\"a\nb\"\"\"\nhush=1", "line 3: only lines"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseBaasboxSettings([]byte(tt.data))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func FuzzBaasBoxSettings(f *testing.F) {
	f.Add([]byte(`{"data":[{"section":"PasswordRecovery","sub sections":{"email":[{"email.subject":"S","type":"String"}]}}]}`))
	f.Add([]byte("baasbox.settings.PasswordRecovery.email.subject.value=\"S\"\nbaasbox.settings.Application.application.name.value=\"\"\"a\nb\"\"\""))
	f.Add([]byte(`[{"key":"email.subject","value":"S"}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseBaasboxSettings(data)
		if (err == nil) != (len(s) > 0) {
			t.Fatalf("%d settings, %v", len(s), err)
		}
		for key, value := range s {
			if value == "" || value == baasboxHidden || strings.Contains(value, "\r") || strings.ContainsFunc(key, func(r rune) bool { return 'A' <= r && r <= 'Z' }) {
				t.Errorf("%q is %q", key, value)
			}
		}
		s.unused()
	})
}
