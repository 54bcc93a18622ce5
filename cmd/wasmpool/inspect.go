package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

func (a *app) inspectCommand() *cobra.Command {
	var asJSON bool
	var gate gateFlags
	cmd := &cobra.Command{
		Use:   "inspect MODULE [--json]",
		Short: "Show a module's tasks, memory and imports",
		Long: `Inspect shows the tasks, memory and imports of a module, and what it asks for of the
world outside: clock (or to sleep), random, env, files, network. A task gets what --clock,
--random, --env and --dir of run and map grant, and never the network. Without a grant the
clock stands still, and random numbers are made from the call: the same each time for
equal arguments, unless the task keeps a generator of its own (see --isolation of map).

A module that cannot run is shown, too, with the reason; --allow-large and --stub-imports
are those of run and map. The kinds of tasks:

  task     takes and gives bytes (package sdk, or any guest of wasmpool's ABI)
  raw      takes and gives numbers
  command  a WASI program: the argument is its standard input, or stands in its
           command line where run and map have {} behind --`,
		Example: `  wasmpool inspect examples/wordcount/tasks
  wasmpool inspect add.wasm --json`,
		Args: argCount(1, 1, ""),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	gate.add(cmd.Flags())
	cmd.RunE = a.onRoot(func(ctx context.Context, args []string) error {
		if isFolder(args[0]) {
			a.noteBuildCache()
		}
		m, err := openModule(ctx, args[0])
		if err != nil {
			return err
		}
		cfg := host.Config{AllowLarge: gate.large, StubImports: gate.stubs}
		d := description{m.Describe(), refusal(cfg.CheckFully(ctx, m))}
		if asJSON {
			return printJSON(a.out, d)
		}
		return printDescription(a.out, d)
	})
	return cmd
}

// refusal says why a module cannot run, or nothing where err is nil.
func refusal(err error) string {
	var refused *host.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refused.Message
	default:
		return err.Error()
	}
}

// A description is what inspect shows.
type description struct {
	wasmtasks.Description
	Refused string `json:"refused,omitempty"` // why the module cannot run
}

func printJSON(w io.Writer, d description) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(d); err != nil {
		return err
	}
	_, err := w.Write(plain.AppendJSON(nil, text.Bytes()))
	return err
}

func printDescription(out io.Writer, d description) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row(w, "module", d.Name)
	row(w, "size", formatBytes(uint64(d.Size)))
	row(w, "sha256", d.Digest)
	row(w, "memory", memoryText(d.Memory))
	row(w, "asks for", asksText(d.Asks))
	most := mostRows
	if d.Refused != "" {
		row(w, "refused", d.Refused)
		most = mostRefused
	}
	section(w, most, []string{"TASK", "KIND", "SIGNATURE", "TYPES", "DOC"}, len(d.Tasks), func(i int) []string {
		t := d.Tasks[i]
		return []string{t.Name, t.Kind.String(), t.Signature, typesText(t), t.Doc}
	})
	section(w, most, []string{"IMPORT", "SIGNATURE"}, len(d.Imports), func(i int) []string {
		return []string{d.Imports[i].Module + "." + d.Imports[i].Name, d.Imports[i].Signature}
	})
	section(w, most, []string{"OTHER EXPORT", "KIND", "NO TASK BECAUSE"}, len(d.Other), func(i int) []string {
		return []string{d.Other[i].Name, d.Other[i].Kind, d.Other[i].Why}
	})
	return w.Flush()
}

// row prints the cells of a table's row, which are the module's words.
func row(w io.Writer, cells ...string) {
	for i, text := range cells {
		if len(text) > mostCell {
			text = strings.ToValidUTF8(text[:mostCell], "") + "…"
		}
		cells[i] = plain.Line(text)
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

const (
	mostCell = 300 // bytes that are shown of a cell
	mostRows = 200 // that are shown of a table

	mostRefused = 5 // likewise, of a module that cannot run
)

// section prints a table with a head, of many rows the first, or nothing when it has none.
func section(w io.Writer, most int, head []string, rows int, cells func(i int) []string) {
	if rows == 0 {
		return
	}
	fmt.Fprintln(w)
	row(w, head...)
	for i := range min(rows, most) {
		row(w, cells(i)...)
	}
	if more := rows - most; more > 0 {
		fmt.Fprintf(w, "… and %d more: --json shows them\n", more)
	}
}

func typesText(t wasmtasks.Task) string {
	if t.In == "" && t.Out == "" {
		return "-"
	}
	return t.In + " -> " + t.Out
}

const pageSize = 64 << 10

func asksText(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

func memoryText(m wasmtasks.MemoryInfo) string {
	if m == (wasmtasks.MemoryInfo{}) {
		return "none"
	}
	text := "from " + formatBytes(uint64(m.MinPages)*pageSize)
	if m.HasMax {
		text += " to " + formatBytes(uint64(m.MaxPages)*pageSize)
	}
	if !m.Exported {
		text += ", not exported"
	}
	return text
}
