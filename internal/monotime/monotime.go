// Package monotime reads the monotonic clock as one number, which fits an atomic and is
// compared by a subtraction.
package monotime

import "time"

// start is what Now counts from.
var start = time.Now()

// Now returns the nanoseconds since this process started. It never goes back, does not
// change when the system's time is set, and is of no use to another process.
func Now() int64 { return int64(time.Since(start)) }
