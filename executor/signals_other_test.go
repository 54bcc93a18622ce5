//go:build !unix

package executor_test

// signalVar names nothing: here no program gets signals, see signals_test.go.
const signalVar = ""

func heedSignals() int { panic("there are no signals") }
