// Package feed says what happens in a pool, for those who watch it: a page, metrics, a trace, or a program
// of one's own. The updates come from [Executor.Watch] of package executor; this package has their types.
//
//	for u, err := range ex.Watch(ctx, time.Second) {
//		if err != nil {
//			return err
//		}
//		for _, t := range u.Tasks {
//			log.Printf("%s: %d done, %d failed, half of them within %v", t.Name, t.Done, t.Failed, t.Ran.Quantile(0.5))
//		}
//	}
//
// Everything that happened is counted. Whole records, a [Run] each, there are of all runs while these are few, and above that of
// the longest, of failures and of a sample: see [MostRuns].
//
// # Reading the source
//
//   - update.go: what an update says
//   - durations.go: how long many runs took
//   - follow.go gives updates to a function on a goroutine of its own
package feed
