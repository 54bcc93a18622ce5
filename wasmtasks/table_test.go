package wasmtasks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// numbers is a module of raw exports.
func numbers(t testing.TB, name string, exports ...string) *Module {
	t.Helper()
	var b strings.Builder
	for i, e := range exports {
		fmt.Fprintf(&b, "(func (export %q) (result i32) i32.const %d)", e, i)
	}
	return load(t, name, "(module "+b.String()+")")
}

func newTable(t testing.TB, modules ...*Module) *Table {
	t.Helper()
	var table Table
	for _, m := range modules {
		if err := table.Add(m); err != nil {
			t.Fatal(err)
		}
	}
	return &table
}

func TestTableLookup(t *testing.T) {
	t.Parallel()
	one := numbers(t, "one", "power", "square")
	table := newTable(t, one, numbers(t, "two", "square", "cube"), load(t, "greet", `(module (func (export "_start")))`), one)
	for name, want := range map[string]string{
		"power":       "one.power",
		"one.power":   "one.power",
		"one.square":  "one.square",
		"two.square":  "two.square",
		"cube":        "two.cube",
		"greet":       "greet.greet",
		"greet.greet": "greet.greet",
	} {
		m, task, err := table.Lookup(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := m.Name() + "." + task.Name; got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestTableLookupErrors(t *testing.T) {
	t.Parallel()
	small := newTable(t, numbers(t, "m", "power", "square"))
	tests := []struct {
		table      *Table
		name, want string
	}{
		{&Table{}, "x", `unknown task "x" (no module has any task)`},
		{small, "sqare", `unknown task "sqare" (did you mean "square"? known: power, square)`},
		{small, "Power", `unknown task "Power" (did you mean "power"? known: power, square)`},
		{small, "m.sqare", `unknown task "m.sqare" (did you mean "square"? known: power, square)`},
		{small, "wordcount", `unknown task "wordcount" (known: power, square)`},
		{small, "", `unknown task "" (known: power, square)`},
		{newTable(t, numbers(t, "b", "f", "g"), numbers(t, "a", "g", "f")), "f", `task "f" is in several modules: write a.f or b.f`},
		{newTable(t, numbers(t, "b", "f", "h"), numbers(t, "a", "g", "f")), "x", `unknown task "x" (known: a.f, b.f, g, h)`},
	}
	for _, tt := range tests {
		_, _, err := tt.table.Lookup(tt.name)
		if err == nil || err.Error() != tt.want {
			t.Errorf("Lookup(%q): %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestTableErrorTypes(t *testing.T) {
	t.Parallel()
	table := newTable(t, numbers(t, "a", "f"), numbers(t, "b", "f", "g"))
	_, _, err := table.Lookup("nothing")
	var unknown *UnknownTaskError
	if !errors.As(err, &unknown) || unknown.Name != "nothing" || !slices.Equal(unknown.Known, []string{"a.f", "b.f", "g"}) {
		t.Errorf("error %#v", err)
	}
	_, _, err = table.Lookup("f")
	var ambiguous *AmbiguousTaskError
	if !errors.As(err, &ambiguous) || !slices.Equal(ambiguous.Candidates, []string{"a.f", "b.f"}) {
		t.Errorf("error %#v", err)
	}
}

func TestTableManyKnown(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 25 {
		names = append(names, fmt.Sprintf("t%02d", i))
	}
	_, _, err := newTable(t, numbers(t, "m", names...)).Lookup("nothing")
	if err == nil || !strings.HasSuffix(err.Error(), "t18, t19, and 5 more)") {
		t.Errorf("error %v", err)
	}
}

func TestTableAdd(t *testing.T) {
	t.Parallel()
	m := numbers(t, "m", "f")
	table := newTable(t, m, m, m.WithName("alias"))
	for _, name := range []string{"m", "alias"} {
		if got, _, err := table.Lookup(name + ".f"); err != nil || got.Name() != name {
			t.Errorf("%s.f is in %v, %v", name, got, err)
		}
	}
	_, _, err := table.Lookup("f") // the names may have other grants
	if want := `task "f" is in several modules: write alias.f or m.f`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	err = table.Add(numbers(t, "m", "g"))
	if want := "wasmtasks: there are two modules named m: give one another name"; err == nil || err.Error() != want {
		t.Errorf("error %v", err)
	}
	if _, _, err := table.Lookup("g"); err == nil {
		t.Error("the refused module's task is there")
	}
}
