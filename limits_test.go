package hawser_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"
)

// The limits of a file, a type and a function. A limit that has to be exceeded
// stands in exceptions with its reason.
const (
	maxLines        = 400 // of a file
	maxMethods      = 30  // of a type, its own and those that embedding promotes
	maxParameters   = 5   // of a function
	maxResults      = 3   // of a function
	maxDependencies = 8   // pointers, interfaces and functions in a constructor's arguments, those in a struct of parts included; options do not count
)

// exceptions maps what exceeds a limit to the reason.
var exceptions = map[string]string{
	"internal/executor.newActions": "connects the parts that New has made; it decides nothing",
}

func TestFilesAreOneIdea(t *testing.T) {
	t.Parallel()
	for file := range goFiles(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n"); n > maxLines {
			t.Errorf("%s has %d lines; the limit is %d: split it by idea", file, n, maxLines)
		}
	}
}

func TestFunctionsTakeFewParameters(t *testing.T) {
	t.Parallel()
	for file, syntax := range parsedFiles(t) {
		for _, d := range syntax.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := path.Dir(file) + "." + f.Name.Name
			if n := count(f.Type.Params); n > maxParameters && exceptions[name] == "" {
				t.Errorf("%s: %s has %d parameters; the limit is %d: give it a struct", file, f.Name.Name, n, maxParameters)
			}
			if n := count(f.Type.Results); n > maxResults && exceptions[name] == "" {
				t.Errorf("%s: %s has %d results; the limit is %d: return a struct", file, f.Name.Name, n, maxResults)
			}
		}
	}
}

func TestTypesHaveFewMethods(t *testing.T) {
	t.Parallel()
	types := declaredTypes(t)
	for name, declared := range types {
		if n := len(declared.allMethods(types)); n > maxMethods && exceptions[name] == "" {
			t.Errorf("%s has %d methods; the limit is %d, those that embedding promotes included: split it by purpose", name, n, maxMethods)
		}
	}
}

func TestConstructorsTakeFewDependencies(t *testing.T) {
	t.Parallel()
	types := declaredTypes(t)
	for file, syntax := range parsedFiles(t) {
		imports := importsOf(syntax)
		for _, d := range syntax.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(strings.ToLower(f.Name.Name), "new") {
				continue
			}
			name := path.Dir(file) + "." + f.Name.Name
			n := 0
			for _, p := range f.Type.Params.List {
				n += max(len(p.Names), 1) * dependencies(p.Type, path.Dir(file), imports, types)
			}
			if n > maxDependencies && exceptions[name] == "" {
				t.Errorf("%s: %s takes %d dependencies; the limit is %d: split what it makes", file, f.Name.Name, n, maxDependencies)
			}
		}
	}
}

// declaredType is a type of ours: its own methods, and what it embeds.
type declaredType struct {
	methods  map[string]bool
	embedded []string        // full names of types of ours
	fields   *ast.StructType // nil if it is no struct
	imports  map[string]string
	dir      string
}

func (d *declaredType) allMethods(types map[string]*declaredType) map[string]bool {
	all := map[string]bool{}
	for m := range d.methods {
		all[m] = true
	}
	for _, name := range d.embedded {
		if inner := types[name]; inner != nil && inner != d {
			for m := range inner.allMethods(types) {
				all[m] = true
			}
		}
	}
	return all
}

// dependencies counts what a parameter brings: one, or for a struct of ours that
// is passed by value, each of its pointers, interfaces and functions.
func dependencies(e ast.Expr, dir string, imports map[string]string, types map[string]*declaredType) int {
	if name := fullName(e, dir, imports); strings.HasSuffix(name, "Options") {
		return 0
	}
	switch e.(type) {
	case *ast.StarExpr, *ast.FuncType, *ast.InterfaceType:
		return 1
	}
	declared := types[fullName(e, dir, imports)]
	if declared == nil || declared.fields == nil {
		return 0
	}
	n := 0
	for _, f := range declared.fields.Fields.List {
		switch f.Type.(type) {
		case *ast.StarExpr, *ast.FuncType, *ast.InterfaceType:
			n += max(len(f.Names), 1)
		}
	}
	return n
}

// declaredTypes finds the types of all files, by "<folder>.<name>".
func declaredTypes(t *testing.T) map[string]*declaredType {
	t.Helper()
	types := map[string]*declaredType{}
	at := func(name string) *declaredType {
		if types[name] == nil {
			types[name] = &declaredType{methods: map[string]bool{}}
		}
		return types[name]
	}
	for file, syntax := range parsedFiles(t) {
		dir, imports := path.Dir(file), importsOf(syntax)
		for _, d := range syntax.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					at(fullName(d.Recv.List[0].Type, dir, imports)).methods[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok {
						at(dir+"."+s.Name.Name).declare(s, dir, imports)
					}
				}
			}
		}
	}
	return types
}

func (d *declaredType) declare(s *ast.TypeSpec, dir string, imports map[string]string) {
	d.dir, d.imports = dir, imports
	switch body := s.Type.(type) {
	case *ast.StructType:
		d.fields = body
		for _, f := range body.Fields.List {
			if len(f.Names) == 0 {
				d.embedded = append(d.embedded, fullName(f.Type, dir, imports))
			}
		}
	case *ast.InterfaceType:
		for _, m := range body.Methods.List {
			if len(m.Names) == 0 {
				d.embedded = append(d.embedded, fullName(m.Type, dir, imports))
			}
			for _, name := range m.Names {
				d.methods[name.Name] = true
			}
		}
	}
}

// fullName is "<folder>.<name>" of a type of ours, or "".
func fullName(e ast.Expr, dir string, imports map[string]string) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return fullName(e.X, dir, imports)
	case *ast.IndexExpr:
		return fullName(e.X, dir, imports)
	case *ast.IndexListExpr:
		return fullName(e.X, dir, imports)
	case *ast.Ident:
		return dir + "." + e.Name
	case *ast.SelectorExpr:
		if pkg, ok := e.X.(*ast.Ident); ok && imports[pkg.Name] != "" {
			return imports[pkg.Name] + "." + e.Sel.Name
		}
	}
	return ""
}

// importsOf maps the names of a file's imports of ours to their folders.
func importsOf(syntax *ast.File) map[string]string {
	imports := map[string]string{}
	for _, spec := range syntax.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		folder, ok := strings.CutPrefix(imported, module)
		if !ok {
			continue
		}
		name := path.Base(folder)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = folder
	}
	return imports
}

func parsedFiles(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for file := range goFiles(t) {
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", file, err))
		}
		files[file] = syntax
	}
	return files
}

func count(list *ast.FieldList) (n int) {
	if list == nil {
		return 0
	}
	for _, f := range list.List {
		n += max(len(f.Names), 1)
	}
	return n
}
