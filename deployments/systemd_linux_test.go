package deployments_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
)

// TestUnitsAreAcceptedBySystemd has the units checked by systemd, and their protection rated.
func TestUnitsAreAcceptedBySystemd(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is needed: apt-get install -y --no-install-recommends systemd")
	}
	units, err := filepath.Glob("systemd/*.service")
	testenv.Must(t, err)
	if len(units) != 4 {
		t.Fatalf("units: %v", units)
	}
	dir := t.TempDir()
	var copies []string
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		testenv.Must(t, err)
		checkCommand(t, unit, string(text))
		// The check wants the program to exist.
		text = regexp.MustCompile(`(?m)^(ExecStart=)/usr/local/bin/\S+`).ReplaceAll(text, []byte("${1}/bin/true"))
		name := filepath.Join(dir, filepath.Base(unit))
		testenv.Must(t, os.WriteFile(name, text, 0o644))
		copies = append(copies, name)
	}
	if out, err := exec.Command("systemd-analyze", append([]string{"verify", "--man=no"}, copies...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.Command("systemd-analyze", append([]string{"security", "--offline=true", "--threshold=20"}, copies...)...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: an exposure above 2.0: %v\n%s", err, out)
	}
}

// checkCommand starts the command of a unit with --help, which refuses unknown flags.
func checkCommand(t *testing.T, unit, text string) {
	t.Helper()
	match := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/(\S+)(.*)$`).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("%s starts nothing", unit)
	}
	if out, err := program(match[1], append(strings.Fields(match[2]), "--help")...).CombinedOutput(); err != nil {
		t.Errorf("%s: %s: %v\n%s", unit, match[0], err, out)
	}
}
