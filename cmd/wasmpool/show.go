package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool/internal/plain"
)

// showFlags are the flags of results.
type showFlags struct {
	ok     bool
	failed bool
	kinds  []string
	where  stretchesFlag

	long  bool
	json  bool
	csv   bool
	raw   bool
	count bool
}

func (a *app) resultsCommand() *cobra.Command {
	var f showFlags
	cmd := &cobra.Command{
		Use:   "results F [--ok | --failed] [--kind KIND,…] [--where NUMBERS] [--long | --json | --csv | --raw | --count]",
		Short: "Show, filter, count and convert the results of map",
		Long: `Results shows what map has written to F, - for standard input, as a table: a row per
input, in the order of the lines, with the number of the input, its file where inputs are
files, "ok" or the kind of the failure, and the result or the message. With --long it
says of each call how many seconds it ran, on which rank, in which attempt, too.

Lines that are torn, or that map has not written, are named on standard error. The exit
code is 1 then.`,
		Example: `  wasmpool results squares.jsonl --count
  wasmpool results squares.jsonl --failed --kind timeout,memory --json >again.jsonl
  wasmpool results runs.jsonl --ok --csv >runs.csv
  zcat old.jsonl.gz | wasmpool results - --where 100-199 --raw`,
		Args: argCount(1, 1, ""),
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.ok, "ok", false, "only inputs that have a result")
	flags.BoolVar(&f.failed, "failed", false, "only inputs that failed")
	flags.StringSliceVar(&f.kinds, "kind", nil, "only inputs that failed in one of these ways, `KIND,…`")
	flags.Var(&f.where, "where", "only inputs with these `NUMBERS`, such as 7,100-199,500-")
	flags.BoolVarP(&f.long, "long", "l", false, "say in the table how many seconds each call ran, on which rank, in which attempt")
	flags.BoolVar(&f.json, "json", false, "print the lines as they are")
	flags.BoolVar(&f.csv, "csv", false, "print CSV with a header; results that are objects give a column for each member")
	flags.BoolVar(&f.raw, "raw", false, "print the results only, each with a newline at its end")
	flags.BoolVar(&f.count, "count", false, "print how many inputs have a result, and how many failed, by kind")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := f.check(); err != nil || a.rank > 0 {
			return err
		}
		return a.show(args[0], &f)
	}
	return cmd
}

// check finds flags that do not fit together.
func (f *showFlags) check() error {
	forms := 0
	for _, given := range []bool{f.long, f.json, f.csv, f.raw, f.count} {
		if given {
			forms++
		}
	}
	known := append(kindWords(), badInput)
	for _, kind := range f.kinds {
		if !slices.Contains(known, kind) {
			return fmt.Errorf("--kind: %q is no kind of failure, want some of %s", kind, strings.Join(known, ", "))
		}
	}
	switch {
	case forms > 1:
		return errors.New("--long, --json, --csv, --raw and --count exclude each other: give one")
	case f.ok && (f.failed || len(f.kinds) > 0):
		return errors.New("--ok leaves out what --failed and --kind want: give one of them")
	}
	return nil
}

// wants reports whether the flags leave a result in.
func (f *showFlags) wants(r *resultRow) bool {
	switch {
	case f.ok && !*r.OK, f.failed && *r.OK:
		return false
	case len(f.kinds) > 0 && (*r.OK || !slices.Contains(f.kinds, r.Error.Kind)):
		return false
	}
	return part{where: f.where}.has(*r.I)
}

// show prints the results that a file holds.
func (a *app) show(name string, f *showFlags) error {
	file, err := a.openResults(name, f.csv)
	if err != nil {
		return fmt.Errorf("reading the results: %w", err)
	}
	defer file.Close()
	rows := &rowReader{name: name, from: file, wants: f.wants, say: a.err}
	out := bufio.NewWriterSize(a.out, 64<<10)
	switch {
	case f.csv:
		err = a.printCSV(out, file, rows)
	case f.count:
		err = printCounts(out, rows)
	case f.raw:
		err = printRaw(out, rows)
	case f.json:
		err = printLines(out, rows)
	default:
		err = printTable(out, rows, f.long)
	}
	if failed := out.Flush(); err == nil && failed != nil {
		err = fmt.Errorf("writing the results: %w", failed)
	}
	return cmp.Or(err, rows.complaint())
}

// openResults opens a file of results. With twice it can be read again from its beginning.
func (a *app) openResults(name string, twice bool) (*os.File, error) {
	file, ok := a.in.(*os.File)
	switch {
	case name != "-" && isFolder(name):
		return nil, fmt.Errorf("%s is a folder", name)
	case name != "-":
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
	case !ok:
		return spool(a.in)
	}
	if info, err := file.Stat(); !twice || err == nil && info.Mode().IsRegular() {
		return file, nil
	}
	defer file.Close()
	return spool(file)
}

// spool copies what can be read once to a file, which has no name where the system allows that.
func spool(from io.Reader) (*os.File, error) {
	file, err := os.CreateTemp("", "wasmpool-results-*")
	if err != nil {
		return nil, err
	}
	os.Remove(file.Name()) //nolint:errcheck // it stays in the folder of temporary files then
	if _, err = io.Copy(file, from); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close() //nolint:errcheck // it is of no use
		return nil, err
	}
	return file, nil
}

// printLines prints results as they stand in the file.
func printLines(out *bufio.Writer, rows *rowReader) error {
	for r, err := range rows.all() {
		if err != nil {
			return err
		}
		out.Write(plain.AppendJSON(nil, r.line)) //nolint:errcheck // Flush tells
		out.WriteByte('\n')                      //nolint:errcheck // likewise
	}
	return nil
}

// printRaw prints what the calls gave.
func printRaw(out *bufio.Writer, rows *rowReader) error {
	for r, err := range rows.all() {
		switch {
		case err != nil:
			return err
		case !*r.OK:
			continue
		case r.OutFile != "":
			return fmt.Errorf("%s: the result of input %d is in a file, %s: --raw prints those that are in lines", rows.name, *r.I, r.OutFile)
		}
		result, err := r.result()
		if err != nil {
			return err
		}
		out.Write(appendRaw(out.AvailableBuffer(), result)) //nolint:errcheck // Flush tells
	}
	return nil
}

const (
	stateOK = "ok"

	// rowsAtOnce is how many rows of a table have columns of the same width.
	rowsAtOnce = 200

	// mostShown is how many bytes of a result a table shows.
	mostShown = 120
)

// state says how an input ended.
func (r *resultRow) state() string {
	if *r.OK {
		return stateOK
	}
	return r.Error.Kind
}

// printTable prints a row for each input, a long one also with how its call ran.
func printTable(out io.Writer, rows *rowReader, long bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	n := 0
	for r, err := range rows.all() {
		if err != nil {
			return errors.Join(w.Flush(), err)
		}
		cells := []string{strconv.FormatInt(*r.I, 10), r.state(), r.text()}
		head := []string{"INPUT", "STATE", "RESULT"}
		if long {
			cells = slices.Insert(cells, 2, r.Seconds.String(), r.Rank.String(), r.Attempt.String())
			head = slices.Insert(head, 2, "SECONDS", "RANK", "ATTEMPT")
		}
		if r.File != "" {
			cells, head = slices.Insert(cells, 1, r.File), slices.Insert(head, 1, "FILE")
		}
		if n == 0 {
			row(w, head...)
		}
		row(w, cells...)
		if n++; n%rowsAtOnce == 0 {
			w.Flush() //nolint:errcheck // the last one tells
		}
	}
	return w.Flush()
}

// text is what a table shows of a result.
func (r *resultRow) text() string {
	text := string(r.Out)
	switch {
	case !*r.OK:
		text = r.Error.Message
	case r.OutFile != "":
		text = r.OutFile
	case r.Base64 != nil:
		text = *r.Base64
	}
	if len(text) > mostShown {
		text = strings.ToValidUTF8(text[:mostShown], "") + "…"
	}
	return text
}

// printCounts prints how many inputs ended how, the commonest first.
func printCounts(out io.Writer, rows *rowReader) error {
	counts := map[string]int{}
	for r, err := range rows.all() {
		if err != nil {
			return err
		}
		counts[r.state()]++
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row(w, "STATE", "INPUTS")
	for _, state := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	}) {
		row(w, state, strconv.Itoa(counts[state]))
	}
	return w.Flush()
}
