package webhooks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Template is a parsed template: text with placeholders for values of a
// request.
//
//	{ref}            the value; the whole template fails where it is absent
//	{ref|ref}        the first that is present
//	{ref~prefix}     the value has to begin with prefix, which is removed
//	[text {ref}]     left out where a placeholder in it is absent
//
// There are no escapes: braces and brackets cannot be literal text, and
// groups do not nest. References are listed at [Reference].
type Template []TemplatePart

// TemplatePart is literal text, a placeholder or an optional group: the one
// of Literal, Refs and Group that is set.
type TemplatePart struct {
	Literal string
	Refs    []Reference
	Strip   string
	Group   Template
}

// Reference names one value of a request.
//
//	body  method  url  form       the raw body; the method; the public URL with
//	                              its query; form parameters sorted and joined
//	                              as key+value without separators (nothing for
//	                              an empty body, absent for one that is no form)
//	url.decoded  url.port  url.noport
//	                              the URL with reserved characters decoded; with
//	                              the scheme's default port added; without a port
//	header.<Name>  query.<name>  form.<field>
//	body.<path>  each.<path>      dotted path into the JSON body, or into the
//	                              element that is being verified
//	timestamp  id  secret  hmac  claim.<name>
//	                              only where the field's comment says so
type Reference struct {
	Kind string // before the first dot
	Name string // after the first dot
}

// HasWildcard reports whether the reference is a body path with the step *,
// which stands for every element of an array.
func (r Reference) HasWildcard() bool {
	return (r.Kind == "body" || r.Kind == "each") && slices.Contains(strings.Split(r.Name, "."), "*")
}

func (r Reference) String() string {
	if r.Name == "" {
		return r.Kind
	}
	return r.Kind + "." + r.Name
}

// maxTemplate is the size limit of templates, in bytes.
const maxTemplate = 4096

// ParseTemplate parses a template. The empty text is the empty template.
func ParseTemplate(text string) (Template, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("template: longer than %d bytes", maxTemplate)
	}
	return parseTemplate(text, false)
}

func parseTemplate(text string, inGroup bool) (Template, error) {
	var parts Template
	for text != "" {
		at := strings.IndexAny(text, "{}[]")
		if at < 0 {
			return append(parts, TemplatePart{Literal: text}), nil
		}
		if at > 0 {
			parts = append(parts, TemplatePart{Literal: text[:at]})
			text = text[at:]
		}
		var part TemplatePart
		var err error
		switch text[0] {
		case '{':
			part, text, err = parsePlaceholder(text)
		case '[':
			if inGroup {
				return nil, fmt.Errorf("template: a group inside a group")
			}
			part, text, err = parseGroup(text)
		default:
			return nil, fmt.Errorf("template: %q without its opening counterpart", text[:1])
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

func parsePlaceholder(text string) (TemplatePart, string, error) {
	inside, rest, closed := strings.Cut(text[1:], "}")
	if !closed {
		return TemplatePart{}, "", fmt.Errorf("template: { without }")
	}
	refs, strip, stripped := strings.Cut(inside, "~")
	if stripped && strip == "" {
		return TemplatePart{}, "", fmt.Errorf("template: {%s}: nothing after ~", inside)
	}
	part := TemplatePart{Strip: strip}
	for text := range strings.SplitSeq(refs, "|") {
		ref, err := ParseReference(text)
		if err != nil {
			return TemplatePart{}, "", err
		}
		part.Refs = append(part.Refs, ref)
	}
	return part, rest, nil
}

func parseGroup(text string) (TemplatePart, string, error) {
	inside, rest, closed := strings.Cut(text[1:], "]")
	if !closed {
		return TemplatePart{}, "", fmt.Errorf("template: [ without ]")
	}
	group, err := parseTemplate(inside, true)
	if err != nil {
		return TemplatePart{}, "", err
	}
	if len(group.References()) == 0 {
		return TemplatePart{}, "", fmt.Errorf("template: [%s] has no placeholder", inside)
	}
	return TemplatePart{Group: group}, rest, nil
}

// ParseReference parses a reference without its braces.
func ParseReference(text string) (Reference, error) {
	kind, name, dotted := strings.Cut(text, ".")
	ref := Reference{Kind: kind, Name: name}
	var bad bool
	switch kind {
	case "method", "timestamp", "id", "secret", "hmac":
		bad = dotted
	case "url":
		bad = dotted && name != "decoded" && name != "port" && name != "noport"
	case "header":
		bad = !token.MatchString(name)
	case "query", "claim":
		bad = name == ""
	case "each":
		bad = name == "" || !dottedPath.MatchString(name)
	case "body":
		bad = dotted && !dottedPath.MatchString(name)
	case "form":
		bad = dotted && name == ""
	default:
		bad = true
	}
	if bad {
		return Reference{}, fmt.Errorf("unknown reference %q", text)
	}
	return ref, nil
}

var (
	// token is a header's name or a method (RFC 9110 section 5.6.2).
	token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	// dottedPath is made of steps that are not empty.
	dottedPath = regexp.MustCompile(`^[^.]+(\.[^.]+)*$`)
)

// References lists every reference in the template, those of groups included.
func (t Template) References() []Reference {
	var refs []Reference
	for _, part := range t {
		refs = append(refs, part.Refs...)
		refs = append(refs, part.Group.References()...)
	}
	return refs
}
