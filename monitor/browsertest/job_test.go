package browsertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/wasmpool/wasmpool/internal/launch"
)

// pictureEnv names the file of the README's picture, which is all that TestJob makes then, of a job that has been busy for a minute.
const pictureEnv = "WASMPOOL_PICTURE"

// mostPicture is how large the picture of the README may be.
const mostPicture = 300_000

// A launched is a job of 4 ranks.
type launched struct {
	t      *testing.T
	orders io.WriteCloser
	link   string // to its page
	report string // the file, at the end
	ended  chan struct{}
}

// launchJob starts this program on 4 ranks, and returns when the job has told of its page.
func launchJob(t *testing.T) *launched {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("OMPI_MCA_btl_tcp_if_include", "lo")
	t.Setenv("OMPI_MCA_oob_tcp_if_include", "lo")
	orders, stdin := io.Pipe()
	said, stdout := io.Pipe()
	j := &launched{t: t, orders: stdin, report: filepath.Join(t.TempDir(), "report.html"), ended: make(chan struct{})}
	var stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	go func() {
		defer close(j.ended)
		run := launch.Job{Ranks: 4, Program: program, Env: []string{jobEnv + "=" + j.report}, Stdin: orders, Stdout: stdout, Stderr: &stderr}
		if code, err := run.Run(ctx); code != 0 || err != nil {
			t.Errorf("the job: exit code %d, %v\n%s", code, err, &stderr)
		}
		stdout.Close()
	}()
	t.Cleanup(func() {
		if t.Failed() {
			cancel() // it may have calls that never end
		}
		stdin.Close()
		<-j.ended
		cancel()
	})
	if _, err := fmt.Fscanln(said, &j.link); err != nil {
		t.Fatalf("the job has told no link: %v\n%s", err, &stderr)
	}
	go io.Copy(io.Discard, said) //nolint:errcheck // it says no more
	return j
}

// order tells the job what to do.
func (j *launched) order(format string, args ...any) {
	j.t.Helper()
	if _, err := fmt.Fprintf(j.orders, format+"\n", args...); err != nil {
		j.t.Fatal(err)
	}
}

// TestJob sees all parts of the page change during a job of 4 ranks with failures, a killed worker, a call killed by its button, and a
// drain; then its report.
func TestJob(t *testing.T) {
	j := launchJob(t)
	p := newTab(t, 1280, 1000)
	p.open(j.link)
	p.until("all workers have joined", `seen.rows("workers").length === 3 && seen.rows("workers").every((w) => w[2] === "4")`)
	p.until("why nothing moves is told", `seen.text("why") === "The program has submitted no call yet."`)
	p.holds("nothing runs", `seen.text("health") === "waits" && seen.tile("Time left") === "?"`)
	seeWork(p, j)
	seeFailures(p, j)
	seeStream(p)
	if path := os.Getenv(pictureEnv); path != "" {
		takePicture(p, j, path)
		return
	}
	seeLoss(p)
	seeLooks(p)
	seeKill(p, j)
	seePrefix(t, j)
	seeDrain(p, j)
	p.steady(0.25) // tables get their first rows where the window shows what is below
	seeReport(t, j)
}

// seeWork sees numbers grow.
func seeWork(p *tab, j *launched) {
	j.order("total 500")
	j.order("sample 300 250")
	p.until("calls run and wait", `seen.number("Running") === 12 && seen.number("Waiting") > 0`)
	p.until("calls are done, at a rate, and an end is in sight", `seen.number("Done") > 40 && Number(seen.tile("Per second")) > 1 && seen.tile("Time left").match(/^\d+ (s|min)/) !== null`)
	p.holds("the bar has grown", `document.querySelector("#bar .done").offsetWidth > 50 && document.title.match(/^\d+ % galaxies/) !== null`)
	p.until("slots are busy", `Number(seen.text("v-use").match(/^now (\d+) %/)[1]) > 30`)
	p.until("charts have lines", `seen.painted("c-use", "--busy") > 20 && seen.painted("c-rate", "--good") > 20 && seen.painted("c-queue", "--t3") > 20`)
	p.until("each worker has ended runs, and was busy", `seen.rows("workers").every((w) => Number(w[4]) > 5 && parseInt(w[6]) > 0 && parseInt(w[7]) > 0)`)
	p.until("workers and their guests have memory", `seen.rows("workers").every((w) => w[8].match(/^[\d.]+ MiB$/) && w[9].match(/^[\d.]+ MiB$/) && w[10].match(/^[\d.]+ (µs|ms|s)$/))`)
	p.holds("a worker has its last minute", `[...document.querySelectorAll("#workers canvas")].every((c) => seen.painted(c, "--busy") > 0)`)
	p.holds("the task has times, instructions, memory and bytes", `(() => {
		const [name, done, failed, ...rest] = seen.rows("tasks")[0];
		const time = /^[\d.]+ (µs|ms|s)$/, bytes = /^[\d.]+ (B|KiB|MiB)$/;
		const kinds = [time, time, time, time, time, /^[\d.,]+( k| M)?$/, bytes, bytes, bytes, /^$/];
		return seen.rows("tasks").length === 1 && name === "sample" && Number(done) > 40 && failed === "0" && kinds.every((kind, i) => kind.test(rest[i]));
	})()`)
	p.until("all have ended", `seen.number("Done") === 300 && seen.number("Running") === 0`)
}

// seeFailures sees failures come, grouped, and opens one by the keyboard.
func seeFailures(p *tab, j *launched) {
	j.order("simulate 40 300")
	j.order("fit 12 150 diverges")
	j.order("fit 5 150 panics")
	j.order("simulate 3 100 refuses")
	j.order("fit 30 150")
	p.until("failures are counted", `seen.number("Failed") === 20 && document.querySelector("#bar .failed").offsetWidth > 10`)
	p.until("failures are in groups by kind, task and message", `(() => {
		const list = [...document.querySelectorAll("#failures summary")].map((s) => [...s.children].slice(0, 3).map((e) => e.textContent).join(" "));
		return list.join() === "12 application fit,5 panic fit,3 bad_input simulate";
	})()`)
	p.until("tasks tell failures by kind", `seen.rows("tasks").length === 3 && seen.rows("tasks").some((r) => r[0] === "fit" && r[2] === "17" && r[12] === "application 12, panic 5")`)
	p.do(focus("#failures summary"))
	p.press(kb.Enter)
	p.until("an example tells all", `(() => {
		const text = document.querySelector("#failures details[open]")?.innerText || "";
		return ["the fit of field", "fields/0", "tags plate-", "attempt 1", "rank ", "its sky is bright", "3 stars are too close"].every((part) => text.includes(part));
	})()`)
	p.do(focus("#failures details:nth-child(2) summary"))
	p.press(kb.Enter)
	p.until("a panic has its stack", `/Stack[^]*main\.work/.test(document.querySelectorAll("#failures details")[1].innerText)`)
	p.do(scroll("#h-failures"))
	p.picture("failures.png")
	for range 2 {
		p.press(kb.Enter)
		p.do(focus("#failures summary"))
	}
	p.until("they are closed again", `document.querySelector("#failures details[open]") === null`)
}

// seeStream sees what slots ran, and looks closer.
func seeStream(p *tab) {
	p.until("the stream has a colour for each task, and red for failures", `seen.painted("c-stream", "--t0") > 50 && seen.painted("c-stream", "--t1") > 50 && seen.painted("c-stream", "--t2") > 50 && seen.painted("c-stream", "--bad") > 20`)
	p.holds("the legend names them", `["sample", "simulate", "fit", "failed"].every((name) => seen.text("legend").includes(name))`)
	before := eval[int](p, `seen.painted("c-stream", "--t1")`)
	p.do(scroll("#h-stream"))
	p.do(focus("#c-stream"))
	p.press("+")
	p.press(kb.ArrowLeft)
	p.until("a key looks closer", `document.getElementById("live").getAttribute("aria-pressed") === "false"`)
	p.press("0")
	p.until("a key goes back to the last minute", `document.getElementById("live").getAttribute("aria-pressed") === "true"`)
	p.click("#closer")
	p.click("#later")
	p.until("buttons look closer", fmt.Sprintf(`document.getElementById("live").getAttribute("aria-pressed") === "false" && seen.painted("c-stream", "--t1") > %d`, before))
	p.picture("stream.png")
	p.click("#live")
	p.click("#history")
	p.until("the whole job is shown", `document.getElementById("history").getAttribute("aria-pressed") === "true" && seen.painted("c-rate", "--bad") > 0`)
	p.click("#recent")
}

// takePicture has the job be busy for a minute, and keeps what the page shows then.
func takePicture(p *tab, j *launched, path string) {
	j.order("total 1500")
	for range 10 {
		j.order("sample 30 500")
		j.order("simulate 22 2200")
		j.order("fit 2 400 diverges")
		j.order("fit 20 600")
	}
	time.Sleep(50 * time.Second)
	p.do(scroll("body"))
	image := p.picture("page.png")
	if len(image) > mostPicture {
		p.t.Errorf("the picture has %d bytes, want %d at most", len(image), mostPicture)
	}
	if err := os.WriteFile(path, image, 0o666); err != nil {
		p.t.Error(err)
	}
	j.order("kill")
}

// seeLoss kills a worker, and sees it lost.
func seeLoss(p *tab) {
	pid := eval[int](p, `Number(seen.rows("workers")[1][1].match(/process (\d+)$/)[1])`)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	p.until("the worker is lost, with a reason", `document.querySelectorAll("#workers tr.lost").length === 1 && /^lost at .*: .{5,}/.test(seen.rows("workers")[1][11])`)
	p.do(scroll("#h-workers"))
	p.picture("lost.png")
}

// seeLooks keeps what the page looks like, light and dark, on a large and on a small window.
func seeLooks(p *tab) {
	p.fits()
	p.whole("light.png")
	p.scheme("dark")
	p.until("it is dark", `getComputedStyle(document.body).backgroundColor === "rgb(18, 22, 28)" && seen.painted("c-use", "--busy") > 20`)
	p.whole("dark.png")
	p.size(390, 844)
	p.until("the charts are below each other", `document.getElementById("c-use").clientWidth > 300`)
	p.fits()
	p.whole("phone-dark.png")
	p.scheme("light")
	p.until("it is light", `getComputedStyle(document.body).backgroundColor === "rgb(246, 247, 249)"`)
	p.whole("phone.png")
	p.size(1280, 1000)
	p.holds("no jumps on the way", `(seen.jumps = 0) === 0`)
}

// seeKill has calls that never end fill the pool, and kills one by its button.
func seeKill(p *tab, j *launched) {
	j.order("simulate 12 100000000")
	p.until("it is told why nothing moves", `/^All 8 slots run calls of simulate, the longest for \d+ s; 4 calls wait\.$/.test(seen.text("why")) && seen.text("health") === "waits"`)
	p.until("running calls are listed", `seen.rows("running").length === 8 && seen.text("h-running") === "Longest running calls"`)
	p.holds("with what they are", `seen.rows("running").every((r) => /^\d/.test(r[0]) && r[2] === "simulate" && /^fields\/0\d+\.fits, plate-\d$/.test(r[3]))`)
	p.do(scroll("#h-running"))
	p.picture("running.png")
	number := eval[int](p, `Number(seen.rows("running")[0][1])`)
	failed := eval[int](p, `seen.number("Failed")`)
	p.click("#running button")
	p.until("the page says so", fmt.Sprintf(`seen.text("note") === "Call %d is killed."`, number))
	if want := fmt.Sprintf("Kill call %d of simulate?", number); !strings.Contains(p.questions(), want) {
		p.t.Errorf("the user was asked %q, want %q", p.questions(), want)
	}
	p.until("the call has failed, and the next one runs", fmt.Sprintf(`seen.number("Failed") === %d && seen.number("Waiting") === 3 && !seen.rows("running").some((r) => r[1] === "%d")`, failed+1, number))
	p.until("the failure says by whom", `[...document.querySelectorAll("#failures summary")].some((s) => /^1killed/.test(s.textContent) && s.textContent.includes("killed from the job's page"))`)
}

// seePrefix looks at the page through a proxy that puts something before the path, and without the token: it can be read, and does not act.
func seePrefix(t *testing.T, j *launched) {
	t.Helper()
	to, err := url.Parse(j.link)
	if err != nil {
		t.Fatal(err)
	}
	to.Fragment = ""
	proxy := httptest.NewServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host // the prefix stays
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(proxy.Close)
	p := newTab(t, 1000, 800)
	t.Cleanup(proxy.CloseClientConnections)
	p.open(proxy.URL + "/rnode/node17/8080") // with a slash at the end, as is found out
	p.until("it is alive", `seen.rows("running").length === 8`)
	p.holds("it does not act", `[...document.querySelectorAll("#running button, #drain")].every((b) => b.disabled && b.title.includes("link"))`)
	before := eval[string](p, `seen.rows("running")[0][0]`)
	p.until("time goes on", fmt.Sprintf(`seen.rows("running")[0][0] !== %q`, before))
}

// seeDrain drains the job by its button, and sees its end.
func seeDrain(p *tab, j *launched) {
	p.do(scroll("body"))
	p.click("#drain")
	p.until("the page says so", `seen.text("health") === "drains" && document.getElementById("drain").disabled && seen.number("Waiting") === 0 && seen.number("Cancelled") === 3`)
	j.order("kill")
	if err := j.orders.Close(); err != nil {
		p.t.Error(err)
	}
	p.until("the end is told", `/^The job ended at .*: it is done, as far as it was not drained\.$/.test(seen.text("why")) && seen.text("health") === "ended"`)
	p.holds("all calls are told of", `seen.number("Running") === 0 && seen.number("Failed") === 29 && document.getElementById("drain").hidden && seen.rows("running").length === 0`)
	p.whole("ended.png")
}

// seeReport opens the report, which needs nobody who serves it.
func seeReport(t *testing.T, j *launched) {
	t.Helper()
	<-j.ended
	p := newTab(t, 1280, 1000)
	p.open("file://" + j.report)
	p.holds("it has the numbers of the page", `seen.number("Failed") === 29 && seen.rows("workers").length === 3 && seen.rows("tasks").length === 3 && seen.text("health") === "ended"`)
	p.holds("nothing in it acts", `document.querySelectorAll("#running button").length === 0 && document.getElementById("drain").hidden && document.getElementById("save").hidden`)
	p.holds("the stream is there", `seen.painted("c-stream", "--t1") > 20 && seen.painted("c-use", "--busy") > 20`)
	p.do(focus("#failures summary"))
	p.press(kb.Enter)
	p.until("failures have their examples", `document.querySelector("#failures details[open]").innerText.includes("its sky is bright")`)
	p.fits()
	p.whole("report.png")
	p.scheme("dark")
	p.whole("report-dark.png")
}
