package feed_test

import (
	"fmt"
	"time"

	"github.com/wasmpool/wasmpool/feed"
)

func ExampleDurations() {
	var ran feed.Durations
	for i := range 100 {
		ran.Add(time.Duration(i+1) * time.Millisecond)
	}
	fmt.Println(ran.Count, ran.Mean(), ran.Max)
	fmt.Println("half of them within", ran.Quantile(0.5).Round(10*time.Millisecond))
	// Output:
	// 100 50.5ms 100ms
	// half of them within 50ms
}
