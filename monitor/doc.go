// Package monitor shows a job while it runs, and what is left of it afterwards: a page in the browser, its state as JSON, metrics, a report in
// one file, and a trace. It watches a pool ([executor.Executor.Watch]), and keeps a bounded picture of it, whatever the pool does.
//
//	ctx = context.WithoutCancel(ctx) // that of a root function ends before the job has
//	m, err := monitor.New(ctx, ex, monitor.Config{Title: "ray tracing"})
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	server, err := monitor.Serve(ctx, "localhost:8080", m)
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	log.Print("see the job at ", server.URL())
//	if socket, err := monitor.OpenSocket(monitor.SocketConfig{Monitor: m}); err == nil { // for wasmpool status, kill and drain
//		defer socket.Close()
//	}
//	...
//	m.End("all rays are traced")
//
// docs/monitor.md says what the numbers mean, and what it costs.
//
// # Reading the source
//
//   - monitor.go takes updates in, and ends
//   - state.go is what can be seen: the types of a [State]
//   - model.go is what is kept of all updates, from which states are made; its parts are tasks.go (what became of the
//     runs of each task), use.go (how busy slots are), series.go (values over time), pace.go (how many end in a second),
//     stream.go (what each slot ran in the last minute), failures.go (groups of failures) and running.go (what runs now,
//     which the workers are asked for)
//   - why.go says in a sentence why nothing moves
//   - text.go cuts long texts and makes them plain
//   - metrics.go is what Prometheus reads
//   - trace.go writes a [Trace], whose events are in traceevent.go
//   - page.go has the page and the report; their files are in assets
//   - handler.go answers requests, act.go does those that act, events.go sends what changes, guard.go refuses what does not come
//     from the page, and server.go listens
//   - socket.go is by what wasmpool status, kill and drain find the job
//
// The tests of the page in a browser are in browsertest, a module of its own.
package monitor
