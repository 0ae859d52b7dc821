package deployments_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/schema"
	"go.yaml.in/yaml/v4"

	"github.com/hawser-io/hawser/internal/testenv"
)

// TestComposeFilesFollowTheSpecification checks the files against the JSON Schema of the
// Compose Specification, and what they say about each other and about the image.
func TestComposeFilesFollowTheSpecification(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("compose/*.yaml")
	testenv.Must(t, err)
	if len(files) != 2 {
		t.Fatalf("compose files: %v", files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		testenv.Must(t, err)
		var document map[string]any
		testenv.Must(t, yaml.Unmarshal(interpolate(text), &document))
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		services := document["services"].(map[string]any)
		for name, service := range services {
			checkService(t, file+": "+name, service.(map[string]any), document)
		}
	}
	broken := map[string]any{"services": map[string]any{"hawser": map[string]any{"image": "hawser", "read_only_root": true}}}
	if schema.Validate(broken) == nil {
		t.Error("the schema accepts an unknown key")
	}
}

// interpolate replaces variables by their defaults, or by a value.
func interpolate(text []byte) []byte {
	variable := regexp.MustCompile(`\$\{(\w+)(?::([-?])([^}]*))?\}`)
	return variable.ReplaceAllFunc(text, func(use []byte) []byte {
		if match := variable.FindSubmatch(use); string(match[2]) == "-" {
			return match[3]
		}
		return []byte("given")
	})
}

func checkService(t *testing.T, name string, service, document map[string]any) {
	t.Helper()
	if service["read_only"] != true || service["cap_drop"] == nil || service["restart"] == nil {
		t.Errorf("%s may write, has capabilities, or is not started again", name)
	}
	secrets, _ := service["secrets"].([]any)
	for _, use := range secrets {
		source, ok := use.(string)
		if !ok {
			source = use.(map[string]any)["source"].(string)
		}
		if document["secrets"].(map[string]any)[source] == nil {
			t.Errorf("%s uses the secret %s, which is not there", name, source)
		}
	}
	if build, ok := service["build"].(map[string]any); ok {
		if _, err := os.Stat(filepath.Join("compose", build["context"].(string), build["dockerfile"].(string))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	environment, _ := service["environment"].(map[string]any)
	known := settings(t, service)
	for variable := range environment {
		if !strings.Contains(known, "$"+variable) {
			t.Errorf("%s sets %s, which nobody reads", name, variable)
		}
	}
}

// settings is the text that names the variables that a service reads: the help of its
// program, or the configuration of NATS.
func settings(t *testing.T, service map[string]any) string {
	t.Helper()
	run := program("hawser", "up", "--help") // the command of the image
	if command, ok := service["command"].([]any); ok {
		if name := command[0].(string); name == "--config" {
			text, err := os.ReadFile("nats/nats.conf")
			testenv.Must(t, err)
			return string(text)
		}
		run = program(command[0].(string), "--help")
	}
	out, err := run.Output()
	testenv.Must(t, err)
	return string(out)
}
