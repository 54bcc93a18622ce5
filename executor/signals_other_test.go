//go:build !unix

package executor_test

// They name nothing: here no program gets signals, see signals_test.go and manners_test.go.
const signalVar, mannersVar = "", ""

func handleSignals() int { panic("there are no signals") }

func embed() int { panic("there are no signals") }
