// Package manifest makes connectors of YAML files, and runs what definitions describe as
// data: requests by templates, replies by jq.
//
//	manifest.go  Parse, Load: file → connectors.Connector
//	document.go  YAML → JSON, with the place of every value
//	extends.go   extends, webhook.extends
//	problem.go   mistakes with file, line and column
//	bind.go      Bind: definition → handlers
//	request.go   one HTTP request of templates
//	program.go   jq, bounded
//	call.go      request, pages, errors, output
//	generic.go   the action request, whose input is the request
//	subscription.go, registrar.go   registrations of webhooks
//
// The format is the JSON of [connectors.Connector.Definition], so one reference serves both:
// docs/connectors.md.
package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Parse parses, checks and binds the connector of one file. bases nil means that nothing can
// be extended. A mistake is reported as [Problems], all of them at once, in bounded time.
func Parse(file string, text []byte, bases Bases) (*connectors.Connector, error) {
	if bases == nil {
		bases = noBases{}
	}
	d, err := parseYAML(file, text)
	if err != nil {
		return nil, err
	}
	if err := d.extend(bases, nil); err != nil {
		return nil, err
	}
	schemas := d.schemas()
	for path, n := range schemas {
		complete(n, !strings.HasSuffix(path, ".output_schema"))
	}
	definition, err := d.json()
	if err != nil {
		return nil, err
	}
	var problems Problems
	for path, n := range schemas {
		problems = append(problems, d.checkSchema(path, n)...)
	}
	if _, wrong := connectors.DefinitionSchema().Validate(definition); wrong != nil {
		problems = append(problems, d.problemsOf(schema.FieldErrors(wrong))...)
	}
	if len(problems) > 0 {
		problems.sort()
		return nil, problems
	}
	c, err := connectors.ParseDefinition(definition)
	if err == nil {
		addGeneric(c)
		err = Bind(c)
	}
	if err != nil {
		problems = d.problemsOf(err)
		problems.sort()
		return nil, problems
	}
	return c, nil
}

// schemas returns the JSON Schemas of the file by their paths.
func (d *document) schemas() map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	add := func(path string, n *yaml.Node) {
		if n != nil {
			all[path] = n
		}
	}
	add("config", child(d.root, "config"))
	add("webhook.schema", child(child(d.root, "webhook"), "schema"))
	actions := child(d.root, "actions")
	if actions == nil || actions.Kind != yaml.MappingNode {
		return all
	}
	for i := 0; i+1 < len(actions.Content); i += 2 {
		path := join("actions", actions.Content[i].Value)
		add(path+".input", child(actions.Content[i+1], "input"))
		add(path+".output_schema", child(actions.Content[i+1], "output_schema"))
	}
	return all
}

// complete gives the short form of a schema its type: {properties: …} is an object, and of
// a config or an input one without further members.
func complete(n *yaml.Node, closed bool) {
	if n.Kind != yaml.MappingNode || child(n, "type") != nil || child(n, "properties") == nil {
		return
	}
	member := func(name, tag, value string) {
		n.Content = append(n.Content,
			&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name, Line: n.Line, Column: n.Column},
			&yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Line: n.Line, Column: n.Column})
	}
	member("type", "!!str", "object")
	if closed && child(n, "additionalProperties") == nil {
		member("additionalProperties", "!!bool", "false")
	}
}

// checkSchema returns the mistakes of a JSON Schema.
func (d *document) checkSchema(path string, n *yaml.Node) Problems {
	var b bytes.Buffer
	at := document{file: d.file, root: n, at: map[string]position{}}
	if err := at.write(&b, n, path); err != nil {
		return nil // reported already
	}
	_, err := schema.Parse(b.Bytes())
	if err == nil {
		return nil
	}
	list, ok := errors.AsType[schema.FieldErrors](err)
	if !ok {
		list = schema.FieldErrors{{Message: err.Error()}}
	}
	for i := range list {
		list[i].Path = strings.TrimSuffix(join(path, list[i].Path), ".")
	}
	return d.problemsOf(list)
}

// Load parses the files, and every *.yaml file of the folders, among paths. They may extend
// each other and bases. The connectors are in the order of their keys.
func Load(paths []string, bases Bases) ([]*connectors.Connector, error) {
	if bases == nil {
		bases = noBases{}
	}
	names, err := yamlFiles(paths)
	if err != nil {
		return nil, err
	}
	texts := map[string][]byte{}
	for _, file := range names {
		if texts[file], err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("read connector definition: %w", err)
		}
	}
	var all []*connectors.Connector
	var problems Problems
	from := map[string]string{}
	for _, file := range names {
		c, err := Parse(file, texts[file], fileSet{bases, texts, file})
		if list, ok := errors.AsType[Problems](err); ok {
			problems = append(problems, list...)
			continue
		} else if err != nil {
			return nil, err
		}
		if other, taken := from[c.Key]; taken {
			problems = append(problems, Problem{File: file, Line: 1, Column: 1, Path: "key", Message: fmt.Sprintf("is %q, as in %s", c.Key, other)})
		}
		from[c.Key] = file
		all = append(all, c)
	}
	if len(problems) > 0 {
		problems.sort()
		return nil, problems
	}
	slices.SortFunc(all, func(a, b *connectors.Connector) int { return cmp.Compare(a.Key, b.Key) })
	return all, nil
}

// yamlFiles returns the files among paths, and those of the folders.
func yamlFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("read connector definitions: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		for _, pattern := range []string{"*.yaml", "*.yml"} {
			found, err := filepath.Glob(filepath.Join(path, pattern))
			if err != nil {
				return nil, err
			}
			files = append(files, found...)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// fileSet is the files of one Load, before the other bases.
type fileSet struct {
	Bases

	texts map[string][]byte
	own   string // the file that extends: its name is not its own base
}

// Connector returns the text of the file <key>.yaml among the files, else that of the bases.
func (s fileSet) Connector(key string) ([]byte, bool) {
	for file, text := range s.texts {
		if file != s.own && strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) == key {
			return text, true
		}
	}
	return s.Bases.Connector(key)
}
