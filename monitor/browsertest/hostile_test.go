package browsertest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/monitor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// hack is a text that sets window.hacked where a page takes it for code.
const hack = `</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1"><a href="javascript:window.hacked=1">`

// hostile are texts of guests, inputs and programs.
var hostile = []string{
	hack,
	"\"'><svg onload=window.hacked=1>",
	"\x1b[2J\x1b[31mred\x1b]0;title\x07 \x00\r\b\x7f",
	"\xff\xfe\xc3\x28 \xed\xa0\x80 invalid",
	"\u202egnp.exe \u2028 \u2066 \ufeff",
	strings.Repeat("x", 1<<20),
	strings.Repeat("<b>", 1<<18),
	strings.Repeat("\n", 5000),
}

// strangeTasks has tasks whose names are hostile, as far as those of tasks can be: one returns, one never does.
const strangeTasks = `(module
	(func (export "</script><script>window.hacked=1</script>") (result i32) i32.const 1)
	(func (export "<img src=x onerror=window.hacked=1>") (result i32) (loop br 0) i32.const 1))`

// TestHostile sees that texts which would like to be code, to steer a terminal, or to fill the window, are shown as text: on the page and in the report.
func TestHostile(t *testing.T) {
	strange := guesttest.Module(t, "strange", strangeTasks)
	ex, err := executor.Local(executor.Config{RootSlots: 2, Logger: slog.New(slog.DiscardHandler), Modules: []*wasmtasks.Module{guesttest.Build(t, "testdata/tasks"), strange}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := ex.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	m, err := monitor.New(t.Context(), ex, monitor.Config{
		Title: strings.Join(hostile[:4], " "), Drain: func(string) {},
		Name: func(call uint64) string { return hostile[int(call)%len(hostile)] },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	server, err := monitor.Serve(t.Context(), "", m)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p := newTab(t, 1280, 1000)
	p.open(server.URL())
	for _, text := range hostile {
		ex.Submit(t.Context(), "complain", []byte(text), executor.Tags(text))
	}
	for _, task := range strange.Tasks() {
		f := ex.Submit(t.Context(), task.Name, nil, executor.Tags(hack))
		if !strings.Contains(task.Name, "img") {
			if err := f.Err(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !m.Drain(hack) {
		t.Error("it does not drain")
	}
	p.until("all is shown", `seen.rows("tasks").length >= 2 && seen.rows("running").length === 1 && document.querySelectorAll("#failures details").length >= 7`)
	p.until("names are text", `seen.rows("tasks").some((r) => r[0].includes("</script><script>window.hacked=1</script>")) && seen.rows("running")[0][2] === "<img src=x onerror=window.hacked=1>"`)
	seeHarmless(p)
	p.whole("hostile.png")
	p.size(390, 844)
	seeHarmless(p)
	p.whole("hostile-phone.png")
	if _, err := m.Kill(t.Context(), monitor.Kill{Tag: hack, Reason: hack}); err != nil {
		t.Error(err)
	}
	m.End(hack)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	p.until("the end is told", `seen.text("why").includes("<script>window.hacked=1</script>")`)
	seeHarmless(p)
	report := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(report)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := m.WriteReport(f); err != nil {
		t.Fatal(err)
	}
	p = newTab(t, 1280, 1000)
	p.open("file://" + report)
	p.holds("the report has all", `seen.rows("tasks").length >= 2 && document.querySelectorAll("#failures details").length >= 7`)
	seeHarmless(p)
	p.whole("hostile-report.png")
}

// seeHarmless opens all failures, and looks that nothing of the hostile texts has become part of the page.
func seeHarmless(p *tab) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](`for (const s of document.querySelectorAll("#failures details:not([open]) summary")) s.click(); 0`))
	p.until("examples are shown", `[...document.querySelectorAll("#failures details")].every((d) => d.querySelectorAll(".example pre").length > 0)`)
	p.holds("no script has run", `window.hacked === undefined`)
	p.holds("no element came of a text", `document.querySelectorAll("img, svg, b:not(figcaption b), iframe, a:not(#save)").length === 0 && document.scripts.length <= 2 && document.querySelectorAll("body > *").length <= 8`)
	p.holds("the texts are there", `["window.hacked=1", "\\x1b[2J", "\\x00", "\\xff\\xfe", "xxxx", "<b><b>"].every((part) => document.getElementById("failures").textContent.includes(part))`)
	// Where the page has texts of its own, these are of several lines.
	p.holds("nothing steers", `!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText + document.title)`)
	p.holds("long texts are cut", `document.body.innerText.length < 200000`)
	p.fits()
}
