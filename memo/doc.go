// Package memo keeps the results of calls in a folder, beyond the end of a pool, and finds them again. It is the journal of a
// program: one whose root was killed is started again as it is, and each call that had ended returns at once.
//
//	executor.Run(ctx, executor.Config{
//		Memo:    memo.New("results", memo.Config{}),
//		Sandbox: host.Config{Isolation: host.IsolationReset},
//	}, root)
//
// A result is known by all that decides it: the module's bytes, the task, the argument, the limits, the initializer, and the
// versions of the meter and the engine. docs/data.md has the list. So what is found is what the call would give; of another version of the module
// nothing is found. Only the root uses the folder; other ranks need not have it.
//
// # What is in the folder
//
// Segments, which are files of records, one behind the other: a record has a key, a result and a checksum, and does not change once it is
// written. Long results have files of their own, by their SHA-256. A file called lock says who writes. Nothing else says what there is: a store that is
// opened reads the segments, and keeps in memory where each key's record is.
//
// A result is written milliseconds after it was kept, together with all that came meanwhile, and is on the disk a second later, or when [Store.Sync]
// returns. A record that is damaged, or was cut off, does not have its checksum: it is left out, the next good one behind it is looked
// for, and its call runs again.
//
// # Reading the source
//
//   - store.go: the store, and how a result is found
//   - writer.go: the goroutine that writes what is kept, and removes what is too much
//   - segment.go and record.go: the files and what they consist of; large.go: files of long results; sync_unix.go and sync_other.go: folders
//   - inspect.go looks at a folder that others may write to; gc.go removes what is not wanted
package memo
