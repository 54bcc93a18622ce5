package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

func (a *app) inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect MODULE [--json]",
		Short: "Show a module's tasks, memory and imports",
		Long: `Inspect shows what a module offers and what it needs. The kinds of tasks:

  task     takes and gives bytes (package sdk, or any guest of wasmpool's ABI)
  raw      takes and gives numbers
  command  a WASI program: the argument is its standard input and, if it is text of
           up to 4096 bytes, its command-line argument`,
		Example: `  wasmpool inspect examples/wordcount/tasks
  wasmpool inspect add.wasm --json`,
		Args: argCount(1, 1, ""),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = a.onRoot(func(ctx context.Context, args []string) error {
		m, err := openModule(ctx, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(a.out, m.Describe())
		}
		return printDescription(a.out, m.Describe())
	})
	return cmd
}

func printJSON(w io.Writer, d wasmtasks.Description) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(d)
}

func printDescription(out io.Writer, d wasmtasks.Description) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "module\t%s\nsize\t%s\nsha256\t%s\nmemory\t%s\n", d.Name, formatBytes(uint64(d.Size)), d.Digest, memoryText(d.Memory))
	section(w, "TASK\tKIND\tSIGNATURE\tTYPES\tDOC", len(d.Tasks), func(i int) string {
		t := d.Tasks[i]
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", t.Name, t.Kind, t.Signature, typesText(t), t.Doc)
	})
	section(w, "IMPORT\tSIGNATURE", len(d.Imports), func(i int) string {
		return fmt.Sprintf("%s.%s\t%s", d.Imports[i].Module, d.Imports[i].Name, d.Imports[i].Signature)
	})
	section(w, "OTHER EXPORT\tKIND\tNO TASK BECAUSE", len(d.Other), func(i int) string {
		return fmt.Sprintf("%s\t%s\t%s", d.Other[i].Name, d.Other[i].Kind, d.Other[i].Why)
	})
	return w.Flush()
}

// section prints a table with a head, or nothing when it has no rows.
func section(w *tabwriter.Writer, head string, rows int, row func(i int) string) {
	if rows == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", head)
	for i := range rows {
		fmt.Fprintln(w, row(i))
	}
}

func typesText(t wasmtasks.Task) string {
	if t.In == "" && t.Out == "" {
		return "-"
	}
	return t.In + " -> " + t.Out
}

const pageSize = 64 << 10

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
