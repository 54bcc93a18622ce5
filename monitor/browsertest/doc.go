// Package browsertest drives the page of package monitor in a real browser: headless Chromium, which make deps installs. It
// consists of tests, and is a module of its own, so that no program inherits what they need.
//
// TestJob looks at a job on 4 MPI ranks, TestHostile at texts that would like to be code, TestScale at a pool of
// 2,048 slots. They leave pictures in out/browser, of which make picture takes that of the README.
package browsertest
