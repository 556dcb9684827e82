package caddymodule_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// commandTree is `caddy password-reset` as Caddy builds it.
func commandTree(t *testing.T) *cobra.Command {
	t.Helper()
	c, ok := caddycmd.Commands()["password-reset"]
	if !ok {
		t.Fatal("the command is not registered")
	}
	cmd := &cobra.Command{Use: c.Name, Short: c.Short, Long: c.Long}
	c.CobraFunc(cmd)
	root := &cobra.Command{Use: "caddy"}
	root.AddCommand(cmd)
	return cmd
}

// eachCommand visits a command and all below it.
func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, c := range cmd.Commands() {
		eachCommand(c, visit)
	}
}

// docs/commands.md says what --help says. With -update it is written anew.
func TestManual(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Commands\n\nWhat `--help` says of each, for those who read before they type. " +
		"`caddy manpage --directory DIR` writes it as manual pages, `caddy completion` has the shell complete it.\n")
	eachCommand(commandTree(t), func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", c.CommandPath(), strings.TrimSpace(c.Long))
		fmt.Fprintf(&b, "\n```sh\n%s\n```\n", unindented(c.Example))
		fmt.Fprintf(&b, "\n```\n%s\n\n%s```\n", c.UseLine(), c.LocalFlags().FlagUsages())
	})
	const file = "../docs/commands.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), b.String()); diff != "" {
		t.Errorf("out of date; run: go test ./caddymodule -run TestManual -update\n%s", diff)
	}
}

func unindented(example string) string {
	lines := strings.Split(example, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}

// shellWord is what a shell puts a word in place of.
var shellWord = regexp.MustCompile(`\$\([^)]*\)`)

// Each command has an example, and what stands in it can be typed.
func TestExamplesOfCommands(t *testing.T) {
	eachCommand(commandTree(t), func(c *cobra.Command) {
		own := false
		for _, line := range strings.Split(c.Example, "\n") {
			typed, _, _ := strings.Cut(shellWord.ReplaceAllString(line, "word"), " | ")
			words := strings.Fields(typed)
			if len(words) < 2 || words[0] != "caddy" {
				t.Errorf("%s: %q does not begin with caddy", c.CommandPath(), line)
				continue
			}
			found, args, err := commandTree(t).Root().Find(words[1:])
			if err == nil {
				err = found.ParseFlags(args)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
				continue
			}
			own = own || strings.HasPrefix(found.CommandPath(), c.CommandPath())
		}
		if !own {
			t.Errorf("%s: no example is of the command itself", c.CommandPath())
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || !strings.HasPrefix(c.Long, "\n") {
			t.Errorf("%s: its texts are not as those of Caddy's commands", c.CommandPath())
		}
	})
}
