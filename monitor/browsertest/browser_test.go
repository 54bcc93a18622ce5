package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

// programs are what a browser may be called. The first is what the second one starts, as a script that would stay between.
var programs = []string{
	"/usr/lib/chromium/chromium-headless-shell", "chromium-headless-shell", "chrome-headless-shell", "chromium", "chromium-browser", "google-chrome",
}

// findBrowser returns the path of a browser.
func findBrowser() (string, error) {
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("the page is tested in Chromium, and there is none: run make deps")
}

// A browser is a headless Chromium.
type browser struct {
	ctx    context.Context //nolint:containedctx // it is chromedp's handle on the browser
	cancel context.CancelFunc
	dir    string // all its files
	group  int    // its processes
}

func startBrowser() (*browser, error) {
	path, err := findBrowser()
	if err != nil {
		return nil, err
	}
	b := &browser{}
	if b.dir, err = os.MkdirTemp("", "wasmpool-browser"); err != nil {
		return nil, err
	}
	var process *exec.Cmd
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.UserDataDir(filepath.Join(b.dir, "profile")),
		chromedp.Env("TMPDIR="+b.dir, "HOME="+b.dir),
		chromedp.Flag("disable-dev-shm-usage", true), // memory of a container is small there, and what is left of a kill stays
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
			process = cmd
		}))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // it cannot have one then
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b.ctx, b.cancel = ctx, func() { cancel(); end() }
	if err := chromedp.Do(ctx); err != nil {
		b.cancel()
		return nil, errors.Join(fmt.Errorf("starting %s: %w", path, err), os.RemoveAll(b.dir))
	}
	b.group = process.Process.Pid
	return b, nil
}

// stop ends the browser, with all its processes, and removes its files.
func (b *browser) stop() error {
	err := chromedp.Cancel(b.ctx)
	b.cancel()
	gone := func() bool { return errors.Is(syscall.Kill(-b.group, 0), syscall.ESRCH) }
	for end := time.Now().Add(10 * time.Second); !gone(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			syscall.Kill(-b.group, syscall.SIGKILL) //nolint:errcheck // it is told
			err = errors.Join(err, errors.New("processes of the browser did not end"))
			break
		}
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}
