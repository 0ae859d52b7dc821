package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// maxNestedDefaults is how many defaults one default may contain. A schema with more
// has defaults that contain themselves, or that grow exponentially.
const maxNestedDefaults = 1000

var errNestedDefaults = errors.New("has a default that contains itself, or more than 1000 others")

// filler adds defaults to one decoded value.
type filler struct {
	changed bool // whether it has added any
}

// fill adds the defaults of the schemas that apply to the value, at every depth. budget
// is how many more defaults the enclosing default may contain, nil outside of a default.
func (f *filler) fill(schemas []*jsonschema.Schema, value any, budget *int) error {
	switch v := value.(type) {
	case map[string]any:
		schemas = applying(schemas...)
		added := f.addMembers(schemas, v)
		for name, member := range v {
			inner := budget
			if slices.Contains(added, name) {
				if inner == nil {
					inner = new(int)
					*inner = maxNestedDefaults
				}
				if *inner--; *inner < 0 {
					return errNestedDefaults
				}
			}
			if err := f.fill(memberSchemas(schemas, name), member, inner); err != nil {
				return err
			}
		}
	case []any:
		schemas = applying(schemas...)
		for i, item := range v {
			if err := f.fill(itemSchemas(schemas, i), item, budget); err != nil {
				return err
			}
		}
	}
	return nil
}

// addMembers adds the members that are absent and have a default. It returns their names.
func (f *filler) addMembers(schemas []*jsonschema.Schema, object map[string]any) (added []string) {
	for _, s := range schemas {
		for name := range s.Properties {
			if _, present := object[name]; present {
				continue
			}
			if value, ok := defaultOf(memberSchemas(schemas, name)); ok {
				object[name] = value
				added = append(added, name)
				f.changed = true
			}
		}
	}
	return added
}

// defaultOf returns a copy of the first default among the schemas of a place.
func defaultOf(schemas []*jsonschema.Schema) (any, bool) {
	for _, s := range applying(schemas...) {
		if s.Default != nil {
			return clone(*s.Default), true
		}
	}
	return nil, false
}

// clone returns a deep copy of a decoded value.
func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, member := range v {
			object[name] = clone(member)
		}
		return object
	case []any:
		array := make([]any, len(v))
		for i, item := range v {
			array[i] = clone(item)
		}
		return array
	}
	return value
}

// checkDefaults validates each default of a schema, with the defaults inside it, against
// the schemas of its place. It reports whether there are any.
func checkDefaults(root *jsonschema.Schema) (found bool, err error) {
	var problems []string
	properties := 0
	for s := range withDefaults(root) {
		schemas := applying(s)
		for _, name := range propertyNames(schemas) {
			if properties++; properties > maxPlaces {
				return false, errTooManyPlaces
			}
			of := memberSchemas(schemas, name)
			value, ok := defaultOf(of)
			if !ok {
				continue
			}
			found = true
			for _, problem := range defaultProblems(of, value) {
				problems = append(problems, fmt.Sprintf("default of %q: %s", name, problem))
			}
		}
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		return found, errors.New(strings.Join(slices.Compact(problems), "; "))
	}
	return found, nil
}

// defaultProblems fills a default in and says what is wrong with it.
func defaultProblems(schemas []*jsonschema.Schema, value any) (problems []string) {
	budget := maxNestedDefaults
	if err := (&filler{}).fill(schemas, value, &budget); err != nil {
		return []string{err.Error()}
	}
	for _, s := range schemas {
		if failure := check(s, value); failure != nil {
			problems = append(problems, FieldErrors(fieldErrors(failure)).Error())
		}
	}
	return problems
}
