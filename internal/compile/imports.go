package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// checkImports says what is wrong with a module's imports. Of one that was built to run elsewhere
// it says that first, and what it needs there in a few words.
func checkImports(rules Rules, m *wasmbin.Module) (problems []string) {
	offers := rules.Offers
	foreign := map[string][]wasmbin.Import{} // by module, of those that nobody offers
	for _, i := range m.Imports {
		switch {
		case rules.stubs(m, i):
		case i.Kind != wasmbin.KindFunc || offers[i.Module] == nil:
			foreign[i.Module] = append(foreign[i.Module], i)
		default:
			if p := checkImport(offers, m, i); p != "" {
				problems = append(problems, p)
			}
		}
	}
	origin := originOf(m)
	switch {
	case origin != "" && len(foreign) > 0:
		return []string{origin + " (it imports " + inventory(foreign) + ")"}
	case origin != "" && len(problems) > 0:
		return []string{origin, problems[0]}
	}
	here := strings.Join(slices.Sorted(maps.Keys(offers)), " and ")
	others := len(problems)
	for _, module := range slices.Sorted(maps.Keys(foreign)) {
		problems = append(problems, checkForeign(module, foreign[module], here))
	}
	if last := len(problems) - 1; last >= 0 && others == 0 && rules.couldStub(m, foreign) {
		problems[last] += ": StubImports (--stub-imports) of who runs the pool lets it run until it calls one"
	}
	return problems
}

// checkImport says what is wrong with an import of a function from a module that is offered, "" for
// nothing.
func checkImport(offers Offers, m *wasmbin.Module, i wasmbin.Import) string {
	name := i.Module + "." + i.Name
	if i.Module == abi.Module && i.Name == meter.Tick {
		return fmt.Sprintf("it imports the function %s, which is not for modules to call", name)
	}
	want, ok := offers[i.Module][i.Name]
	if !ok {
		return fmt.Sprintf("it imports the function %s, which does not exist here: was the module built for a newer wasmpool?", name)
	}
	if int(i.Type) >= len(m.Types) {
		return fmt.Sprintf("it imports the function %s with a type that does not exist", name)
	}
	if got := m.Types[i.Type].String(); got != want {
		return fmt.Sprintf("it imports the function %s as %s, it is %s", name, got, want)
	}
	return ""
}

// checkForeign says what is wrong with imports from a module that nobody offers, or that are no functions.
func checkForeign(module string, imports []wasmbin.Import, here string) string {
	for _, i := range imports {
		if i.Kind != wasmbin.KindFunc {
			return fmt.Sprintf("it imports %s: a task module has its own", nameAll(module, imports))
		}
	}
	return fmt.Sprintf("it imports %s: nobody offers a module %q here, only %s", nameAll(module, imports), module, here)
}

// mostNamed is how many imports of a module are named.
const mostNamed = 3

// nameAll names imports from a module, of many the first: "the function env.f", or "5 functions of env: a, b, c, …".
func nameAll(module string, imports []wasmbin.Import) string {
	if len(imports) == 1 {
		return fmt.Sprintf("the %s %s.%s", kindWord(imports[0].Kind), module, imports[0].Name)
	}
	names := make([]string, 0, mostNamed+1)
	for _, i := range imports[:min(mostNamed, len(imports))] {
		names = append(names, fmt.Sprintf("%.40s", i.Name))
	}
	if len(imports) > mostNamed {
		names = append(names, "…")
	}
	return fmt.Sprintf("%s of %s (%s)", countKinds(imports), module, strings.Join(names, ", "))
}

// inventory says in a few words what is missing: "43 functions and a memory of env, 2 functions of wbg".
func inventory(foreign map[string][]wasmbin.Import) string {
	const most = 4
	var parts []string
	modules := slices.Sorted(maps.Keys(foreign))
	for _, module := range modules[:min(most, len(modules))] {
		parts = append(parts, fmt.Sprintf("%s of %.60s", countKinds(foreign[module]), module))
	}
	if more := len(modules) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and from %d more modules", more))
	}
	return strings.Join(parts, ", ")
}

// countKinds says how many of each kind there are: "43 functions and a memory".
func countKinds(imports []wasmbin.Import) string {
	count := map[wasmbin.Kind]int{}
	for _, i := range imports {
		count[i.Kind]++
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		if n := count[kind]; n == 1 {
			parts = append(parts, "a "+kindWord(kind))
		} else {
			parts = append(parts, fmt.Sprintf("%d %s", n, pluralOf(kindWord(kind))))
		}
	}
	if last := len(parts) - 1; last > 0 {
		return strings.Join(parts[:last], ", ") + " and " + parts[last]
	}
	return parts[0]
}

func kindWord(k wasmbin.Kind) string {
	if k == wasmbin.KindFunc {
		return "function"
	}
	return k.String()
}

func pluralOf(word string) string {
	if stem, ok := strings.CutSuffix(word, "y"); ok {
		return stem + "ies"
	}
	return word + "s"
}
