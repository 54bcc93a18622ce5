// Command wasmpool runs WebAssembly tasks from the command line, alone or under
// an MPI launcher. See its --help, and the project's README.
//
// # Reading the source
//
//   - main.go, app.go: the command, its standard streams and signals
//   - run.go, map.go, launch.go, inspect.go, build.go, init.go, bench.go, version.go: a subcommand each
//   - pool.go: flags of a pool, and opening one; the module and task of a command line
//   - calls.go: how calls are made: --retries, --tag
//   - grants.go: --dir, --env, --clock, --random, --isolation, --keep, --result-file, --allow-large and --stub-imports; script.go: modules that are scripts
//   - shared.go: --shared and --shared-tree
//   - memo.go, memofolder.go: --memo, and the subcommand that looks at its folder
//   - twice.go: --speculate and --spot-check
//   - input.go: the flags that say what the inputs of map are, and what all kinds of inputs have in common
//   - lines.go, csv.go, files.go: inputs that are read: lines, JSON values and arguments with NUL bytes, rows, files
//   - computed.go, range.go, param.go: inputs that are made from their numbers: --range, --param
//   - priority.go: inputs in the order of a number in them
//   - part.go, set.go: which inputs are to run: --where, --shard, and what --resume has left
//   - record.go, digest.go: one line of map's output, and what stands for an argument there
//   - results.go, ledger.go: writes them, counts, and remembers of which input each call is, and the first failure
//   - blockwriter.go: writes many lines at once
//   - outdir.go, raw.go: --out-dir and --raw; sync_linux.go, sync_other.go: has files be on the disk
//   - then.go: calls of several tasks, one behind the other
//   - reduce.go: one result of all; sorted.go: reads results in the order of their inputs
//   - maxfails.go, failed.go: --max-fails, and the inputs that failed
//   - output.go, stream.go: where the results go, and that one map at a time writes to a file
//   - resume.go, reread.go: --resume: which results an earlier run has left, and that the inputs are still the same
//   - stored.go, index.go, edit.go: it reads a result, finds its input, and makes the file hold what counts
//   - show.go, rows.go, csvout.go: the subcommand results, what it reads, and its CSV
//   - progress.go, pace.go: how far a map has come, and how fast; the summary (idleroot.go: what that says of a
//     root whose node idles)
//   - screen.go: a terminal with a footer
//   - progressnote.go: --progress, and how far a map has come as JSON
//   - view.go, callinputs.go, waits.go, tasklogs.go, tracefile.go: how a job is seen from outside: --http, --report, --logs, --trace, of which
//     input a call is, and what a map waits for
//   - reports.go writes the report now and then while the job runs
//   - jobserver.go, jobs.go: the job's socket, and who asks by it
//   - status.go, top.go, topscreen.go, act.go: the subcommands status, kill and drain
//   - errors.go: exit codes, and messages on one line
//   - size.go: sizes such as 64MiB
//   - wholefile.go: a file that is written whole or not at all
package main
