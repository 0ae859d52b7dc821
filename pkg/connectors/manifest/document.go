package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The bounds of a file. An alias counts as what it stands for.
const (
	maxFile  = 512 << 10
	maxNodes = 50_000
	maxDepth = 64
)

// document is a parsed YAML file without aliases, and where its values are.
type document struct {
	file string
	root *yaml.Node
	at   map[string]position // dotted path → the place of the key or item
}

type position struct{ line, column int }

// parseYAML parses one document. Repeated keys, aliases that multiply the document, and
// what is not a mapping are mistakes.
func parseYAML(file string, text []byte) (*document, error) {
	d := &document{file: file, at: map[string]position{}}
	if len(text) > maxFile {
		return nil, Problems{{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the file has more than %d bytes", maxFile)}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var node, second yaml.Node
	if err := dec.Decode(&node); err != nil {
		return nil, d.syntaxError(err)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, Problems{{File: file, Line: max(second.Line, 1), Column: 1, Message: "there is a second document: one connector a file"}}
	}
	copier := aliasCopier{file: file}
	d.root = copier.copy(node.Content[0], 0)
	if d.root.Kind != yaml.MappingNode && len(copier.problems) == 0 {
		copier.report(d.root, "", "the file must be a mapping: key, config, actions …")
	}
	if len(copier.problems) > 0 {
		return nil, copier.problems
	}
	return d, nil
}

// syntaxError is the parser's error with the line that it names.
func (d *document) syntaxError(err error) Problems {
	p := Problem{File: d.file, Line: 1, Column: 1, Message: "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if errors.Is(err, io.EOF) {
		p.Message = "the file is empty"
	}
	if _, after, found := strings.Cut(err.Error(), "line "); found {
		digits := after[:len(after)-len(strings.TrimLeft(after, "0123456789"))]
		if line, err := strconv.Atoi(digits); err == nil && line > 0 {
			p.Line = line
		}
	}
	return Problems{p}
}

// aliasCopier copies a tree with each alias replaced by what it stands for.
type aliasCopier struct {
	file     string
	nodes    int
	problems Problems
}

func (c *aliasCopier) report(n *yaml.Node, path, message string) {
	c.problems = append(c.problems, Problem{File: c.file, Line: n.Line, Column: n.Column, Path: path, Message: message})
}

func (c *aliasCopier) copy(n *yaml.Node, depth int) *yaml.Node {
	if c.nodes++; c.nodes > maxNodes || depth > maxDepth {
		if c.nodes <= maxNodes+1 && len(c.problems) < 100 {
			c.report(n, "", "aliases or nesting make the document too large")
		}
		c.nodes = maxNodes + 1
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null", Line: n.Line, Column: n.Column}
	}
	if n.Kind == yaml.AliasNode {
		copied := *c.copy(n.Alias, depth+1)
		copied.Line, copied.Column = n.Line, n.Column
		return &copied
	}
	copied := &yaml.Node{Kind: n.Kind, Tag: n.ShortTag(), Value: n.Value, Line: n.Line, Column: n.Column}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if child.Kind != yaml.ScalarNode {
				c.report(child, "", "a key must be a text")
			} else if seen[child.Value] {
				c.report(child, child.Value, "occurs twice")
			}
			seen[child.Value] = true
		}
		copied.Content = append(copied.Content, c.copy(child, depth+1))
		if c.nodes > maxNodes {
			break
		}
	}
	if n.Kind == yaml.MappingNode && len(copied.Content)%2 == 1 {
		copied.Content = copied.Content[:len(copied.Content)-1]
	}
	return copied
}

// json writes the tree as JSON, members in the order of the file, and notes their places.
func (d *document) json() ([]byte, error) {
	var b bytes.Buffer
	clear(d.at)
	err := d.write(&b, d.root, "")
	return b.Bytes(), err
}

func (d *document) write(b *bytes.Buffer, n *yaml.Node, path string) error {
	if _, noted := d.at[path]; !noted {
		d.at[path] = position{n.Line, n.Column}
	}
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			key := n.Content[i]
			name, err := json.Marshal(key.Value)
			if err != nil {
				return err
			}
			b.Write(name)
			b.WriteByte(':')
			below := join(path, key.Value)
			d.at[below] = position{key.Line, key.Column}
			if err := d.write(b, n.Content[i+1], below); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := d.write(b, item, join(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		scalar, err := scalarJSON(n)
		if err != nil {
			return Problems{{File: d.file, Line: n.Line, Column: n.Column, Path: path, Message: err.Error()}}
		}
		b.Write(scalar)
	}
	return nil
}

// scalarJSON returns a scalar as JSON. Numbers that JSON can write keep their digits.
func scalarJSON(n *yaml.Node) ([]byte, error) {
	switch n.Tag {
	case "!!null":
		return []byte("null"), nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return []byte(n.Value), nil
		}
		fallthrough
	case "!!bool":
		var value any
		if err := n.Decode(&value); err != nil {
			return nil, fmt.Errorf("is not valid: %w", err)
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			return nil, errors.New("has no form in JSON") // .inf, .nan
		}
		return encoded, nil
	}
	return json.Marshal(n.Value)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// position returns the place of the value at the path, or of the nearest value around it.
func (d *document) position(path string) position {
	for {
		if at, ok := d.at[path]; ok {
			return at
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return position{d.root.Line, d.root.Column}
		}
		path = path[:i]
	}
}

// child returns the value of a member; nil if there is none.
func child(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	if i := indexOf(n, name); i >= 0 {
		return n.Content[i+1]
	}
	return nil
}
