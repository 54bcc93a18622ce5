package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// helpers are what the tests ask a page with. They stand in the page before its own script runs.
const helpers = `
window.seen = {jumps: 0};
new PerformanceObserver((list) => {
	for (const e of list.getEntries()) if (!e.hadRecentInput) seen.jumps += e.value;
}).observe({type: "layout-shift", buffered: true});
seen.text = (id) => document.getElementById(id).textContent;
seen.tile = (name) => {
	for (const dt of document.querySelectorAll("#tiles dt")) if (dt.textContent === name) return dt.nextSibling.textContent;
	return "";
};
seen.number = (name) => Number(seen.tile(name).replaceAll(",", ""));
seen.rows = (id) => [...document.getElementById(id).children].map((tr) => [...tr.children].map((td) => td.textContent));
// How many pixels of a canvas have a colour of the page's style.
seen.painted = (canvas, name) => {
	const pen = document.createElement("canvas").getContext("2d");
	pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	pen.fillRect(0, 0, 1, 1);
	const want = pen.getImageData(0, 0, 1, 1).data, c = typeof canvas === "string" ? document.getElementById(canvas) : canvas;
	const all = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
	let n = 0;
	for (let i = 0; i < all.length; i += 4) if (all[i + 3] > 100 && [0, 1, 2].every((k) => Math.abs(all[i + k] - want[k]) < 4)) n++;
	return n;
};
`

// A tab is a page of the browser, as large as a window. What it asks the user is answered with yes. It fails the test when a script of the page
// fails, or does what the page's policy forbids.
type tab struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // it is chromedp's handle on the tab
	mu     sync.Mutex
	asked  []string // what the user was asked
	broken []string // errors of scripts
}

func newTab(t *testing.T, width, height int64) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chrome.ctx)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	p.do(chromedp.EmulateViewport(width, height))
	call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: helpers})
	go p.answer()
	go p.listen()
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, what := range p.broken {
			t.Errorf("a script of the page: %s", what)
		}
	})
	return p
}

// answer says yes to what the page asks.
func (p *tab) answer() {
	for e, err := range chromedp.Events(p.ctx, page.JavascriptDialogOpening) {
		if err != nil {
			return
		}
		p.mu.Lock()
		p.asked = append(p.asked, e.Message)
		p.mu.Unlock()
		chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true}) //nolint:errcheck // the tab has gone
	}
}

// listen keeps what the console says that is an error. That of a connection is not: jobs end.
func (p *tab) listen() {
	for m, err := range chromedp.Console(p.ctx) {
		if err != nil {
			return
		}
		if m.Source != "network" && (m.IsException() || m.Type == "error" || m.Source == "security") {
			p.mu.Lock()
			p.broken = append(p.broken, m.String())
			p.mu.Unlock()
		}
	}
}

// patience is how long a tab may take for what is done at once.
const patience = time.Minute

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx); err != nil { // the first binds the tab to its context
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%v\n%s", err, p.look())
	}
}

// open goes to an address, and waits until the page shows a state.
func (p *tab) open(link string) {
	p.t.Helper()
	p.do(chromedp.Navigate(link))
	p.until("the page shows a state", `seen.tile("Done") !== ""`)
}

// eval returns what an expression is in the page.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits until an expression is true in the page.
func (p *tab) until(what, expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); !eval[bool](p, expression); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.picture("failed.png")
			p.t.Fatalf("waited for a minute: %s: %s\n%s", what, expression, p.look())
		}
	}
}

// holds fails the test when an expression is not true in the page now.
func (p *tab) holds(what, expression string) {
	p.t.Helper()
	if !eval[bool](p, expression) {
		p.t.Errorf("%s: not %s\n%s", what, expression, p.look())
	}
}

// look returns the text of the page.
func (p *tab) look() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	if err != nil {
		return err.Error()
	}
	return text
}

// picture keeps what the window shows.
func (p *tab) picture(name string) []byte {
	p.t.Helper()
	return p.keep(name, chromedp.CaptureScreenshot())
}

// whole keeps the whole page.
func (p *tab) whole(name string) {
	p.t.Helper()
	p.keep(name, chromedp.FullScreenshot(100))
}

func (p *tab) keep(name string, take chromedp.Action[[]byte]) []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	image, err := chromedp.Run(ctx, take)
	if err == nil {
		err = os.WriteFile(filepath.Join(pictures, name), image, 0o666)
	}
	if err != nil {
		p.t.Error(err)
	}
	return image
}

// scheme has the page be light or dark.
func (p *tab) scheme(name string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}

// fits fails the test when the page is wider than the window.
func (p *tab) fits() {
	p.t.Helper()
	p.holds("the page fits into the window", `document.documentElement.scrollWidth <= document.documentElement.clientWidth`)
}

// steady fails the test when what the page shows has jumped.
func (p *tab) steady(most float64) {
	p.t.Helper()
	jumps := eval[float64](p, `seen.jumps`)
	p.t.Logf("layout jumps: %.4f", jumps)
	if jumps > most {
		p.t.Errorf("the layout has jumped by %.3f, want %v at most", jumps, most)
	}
}

// questions returns what the user was asked.
func (p *tab) questions() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, "\n")
}

// press presses a key.
func (p *tab) press(key string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(key))
}

// click clicks on what a selector of CSS finds.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// quote makes a text a string of JavaScript.
func quote(s string) string { return fmt.Sprintf("%q", s) }

// call runs a command of the browser's protocol in a tab.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	r, err := chromedp.Call(p.ctx, command, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// size changes the size of the window.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

func focus(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Focus(chromedp.CSS(selector))
}

// scroll has what a selector finds stand at the top.
func scroll(selector string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void]("document.querySelector(" + quote(selector) + ").scrollIntoView(); 0")
}
