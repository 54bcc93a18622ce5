package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// cpuTime returns the CPU time that processes have used, on Linux. The root asks for its own and
// the workers' in the same way: getrusage tells nobody about other processes, and stat counts in
// hundredths of a second.
func cpuTime(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return 0, err
		}
		found := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // the thread has ended
			}
			first, _, _ := bytes.Cut(text, []byte(" "))
			nanos, err := strconv.ParseInt(string(first), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", file, err)
			}
			sum += time.Duration(nanos)
			found = true
		}
		if !found {
			return 0, fmt.Errorf("the CPU time of process %d cannot be read from /proc", pid)
		}
	}
	return sum, nil
}
