package manifest

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bases finds the texts that files begin from.
type Bases interface {
	// Connector returns the YAML of the connector with the key.
	Connector(key string) (text []byte, ok bool)
	// Webhook returns the YAML of the webhook descriptor with the name.
	Webhook(name string) (text []byte, ok bool)
}

// noBases has none.
type noBases struct{}

func (noBases) Connector(string) ([]byte, bool) { return nil, false }
func (noBases) Webhook(string) ([]byte, bool)   { return nil, false }

// extend replaces "extends" and "webhook.extends" by what they name: a member of the file
// replaces that of its base, an object member by member, and null removes it (RFC 7396).
// What is inherited has the place of the word that inherits it.
func (d *document) extend(bases Bases, from []string) error {
	if word := child(d.root, "extends"); word != nil {
		if slices.Contains(from, word.Value) || len(from) >= 8 {
			return d.mistake(word, "extends", "makes a definition begin from itself: "+strings.Join(append(from, word.Value), " → "))
		}
		text, ok := bases.Connector(word.Value)
		if !ok {
			return d.mistake(word, "extends", "names the connector "+quoted(word.Value)+", which does not exist")
		}
		base, err := parseYAML(d.file, text)
		if err == nil {
			err = base.extend(bases, append(from, word.Value))
		}
		if err != nil {
			return d.mistake(word, "extends", "names a connector with mistakes: "+err.Error())
		}
		placeAt(base.root, word)
		d.root = merge(without(base.root, "key"), without(d.root, "extends"))
	}
	hook := child(d.root, "webhook")
	word := child(hook, "extends")
	if word == nil {
		return nil
	}
	text, ok := bases.Webhook(word.Value)
	if !ok {
		return d.mistake(word, "webhook.extends", "names the webhook "+quoted(word.Value)+", which does not exist")
	}
	base, err := parseYAML(d.file, text)
	if err != nil {
		return d.mistake(word, "webhook.extends", "names a webhook with mistakes: "+err.Error())
	}
	placeAt(base.root, word)
	*hook = *merge(base.root, without(hook, "extends"))
	return nil
}

func (d *document) mistake(n *yaml.Node, path, message string) error {
	return Problems{{File: d.file, Line: n.Line, Column: n.Column, Path: path, Message: message}}
}

// merge returns base changed by patch.
func merge(base, patch *yaml.Node) *yaml.Node {
	if base == nil || base.Kind != yaml.MappingNode || patch.Kind != yaml.MappingNode {
		return patch
	}
	merged := *base
	merged.Content = slices.Clone(base.Content)
	merged.Line, merged.Column = patch.Line, patch.Column
	for i := 0; i+1 < len(patch.Content); i += 2 {
		key, value := patch.Content[i], patch.Content[i+1]
		at := indexOf(&merged, key.Value)
		switch {
		case at < 0:
			merged.Content = append(merged.Content, key, value)
		case value.Tag == "!!null":
			merged.Content = slices.Delete(merged.Content, at, at+2)
		default:
			merged.Content[at], merged.Content[at+1] = key, merge(merged.Content[at+1], value)
		}
	}
	return &merged
}

// indexOf returns the index of a member's key; -1 if there is none.
func indexOf(n *yaml.Node, name string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return i
		}
	}
	return -1
}

// without returns the mapping without a member.
func without(n *yaml.Node, name string) *yaml.Node {
	copied := *n
	if i := indexOf(n, name); i >= 0 {
		copied.Content = slices.Delete(slices.Clone(n.Content), i, i+2)
	}
	return &copied
}

// placeAt gives the tree the place of another node.
func placeAt(n, at *yaml.Node) {
	n.Line, n.Column = at.Line, at.Column
	for _, below := range n.Content {
		placeAt(below, at)
	}
}

func quoted(text string) string { return `"` + text[:min(len(text), 64)] + `"` }
