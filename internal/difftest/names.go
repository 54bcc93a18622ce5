package difftest

import (
	"fmt"
	"strings"
)

// FenceNames are what Set of [Fences] takes.
var FenceNames = []string{"select", "memory", "validation", "exceptions", "references", "order", "remedies", "count"}

// Set leaves out the fences of a list with commas.
func (f *Fences) Set(names string) error {
	return setNames(names, map[string]*bool{
		"select": &f.Select, "memory": &f.Memory, "validation": &f.Validation,
		"exceptions": &f.Exceptions, "references": &f.References, "order": &f.Order, "remedies": &f.Remedies, "count": &f.Count,
	})
}

// Set leaves out the parts of a list with commas.
func (p *Parts) Set(names string) error {
	return setNames(names, map[string]*bool{"generated": &p.Generated, "specification": &p.Specification, "mutants": &p.Mutants, "proposals": &p.Proposals})
}

func setNames(names string, fields map[string]*bool) error {
	for _, name := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' }) {
		field := fields[name]
		if field == nil {
			return fmt.Errorf("difftest: there is no %q", name)
		}
		*field = true
	}
	return nil
}
