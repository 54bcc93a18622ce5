package browsertest

import (
	"fmt"
	"os"
	"testing"
)

// pictures is where the tests leave what they have seen.
const pictures = "../../out/browser"

// chrome is the browser of all tests.
var chrome *browser

func TestMain(m *testing.M) {
	if os.Getenv(jobEnv) != "" {
		os.Exit(runJob())
	}
	os.Exit(runTests(m))
}

// runTests runs the tests with a browser, and returns the code to exit with.
func runTests(m *testing.M) int {
	err := os.MkdirAll(pictures, 0o777)
	if err == nil {
		chrome, err = startBrowser()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := chrome.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}
