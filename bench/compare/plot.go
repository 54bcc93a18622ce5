package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// The plot has a panel for each goal, so many in a row.
const (
	columns     = 3
	panelWidth  = 340.0
	panelHeight = 170.0
	margin      = 40.0 // in a panel, around its frame
)

// A panel shows a goal over commits, the oldest at the left.
type panel struct {
	goal    goalResult // of the newest run, with the bounds that hold now
	commits []string
	points  []point
}

// A point is what one run reached.
type point struct {
	commit int // its place among the commits
	run    results
	statistics
}

// plotFile draws all results of a folder into its plot.svg.
func plotFile(dir string) error {
	all, err := readResults(dir)
	if err != nil || len(all) == 0 {
		return err
	}
	file, err := os.Create(filepath.Join(dir, "plot.svg"))
	if err != nil {
		return err
	}
	if err := plot(all).writeTo(file); err != nil {
		file.Close() //nolint:errcheck // the first error counts
		return err
	}
	return file.Close()
}

// plot draws results, which are in the order of their commits.
func plot(all []results) *drawing {
	panels := newPanels(all)
	rows := (len(panels) + columns - 1) / columns
	d := &drawing{width: columns * panelWidth, height: float64(rows) * panelHeight}
	for i, p := range panels {
		p.draw(d, float64(i%columns)*panelWidth, float64(i/columns)*panelHeight)
	}
	return d
}

// newPanels returns a panel for each goal that some run has measured.
func newPanels(all []results) []*panel {
	var panels []*panel
	var commits []string
	for _, r := range all {
		if name := r.Commit.name(); !slices.Contains(commits, name) {
			commits = append(commits, name)
		}
	}
	for _, r := range all {
		for _, g := range r.Goals {
			if g.Reached == nil {
				continue
			}
			at := slices.IndexFunc(panels, func(p *panel) bool { return p.goal.Name == g.Name })
			if at < 0 {
				at = len(panels)
				panels = append(panels, &panel{commits: commits})
			}
			p := panels[at]
			p.goal = g
			p.points = append(p.points, point{commit: slices.Index(commits, r.Commit.name()), run: r, statistics: *g.Reached})
		}
	}
	return panels
}

// draw draws a panel with its top left at a place.
func (p *panel) draw(d *drawing, left, top float64) {
	d.text("title", left+margin, top+margin-22, p.goal.Name)
	d.text("", left+margin, top+margin-8, p.about())
	x0, y0 := left+margin, top+margin
	width, height := panelWidth-margin-12, panelHeight-margin-24
	highest := p.highest()
	y := func(v float64) float64 { return y0 + height*(1-v/highest) }
	x := func(commit int) float64 { return x0 + width*(float64(commit)+0.5)/float64(len(p.commits)) }
	d.rect("frame", x0, y0, width, height)
	d.text("end", x0-4, y0+9, bench.Format(highest))
	d.text("end", x0-4, y0+height, "0")
	if must := p.goal.Must; must != 0 {
		d.line("must", x0, y(must), x0+width, y(must))
	}
	if aim := p.goal.Aim; aim != 0 {
		d.line("aim", x0, y(aim), x0+width, y(aim))
	}
	for i, pt := range p.points {
		if i > 0 {
			d.line("trend", x(p.points[i-1].commit), y(p.points[i-1].Median), x(pt.commit), y(pt.Median))
		}
		d.line("spread", x(pt.commit), y(pt.Least), x(pt.commit), y(pt.Most))
		d.dot("median", x(pt.commit), y(pt.Median), pt.about(p.goal.Unit))
	}
	d.text("", x0, y0+height+14, p.commits[0])
	if last := len(p.commits) - 1; last > 0 {
		d.text("end", x0+width, y0+height+14, p.commits[last])
	}
}

// highest returns the value at the top of the frame, a little above all that is drawn.
func (p *panel) highest() float64 {
	highest := max(p.goal.Must, p.goal.Aim)
	for _, pt := range p.points {
		highest = max(highest, pt.Most)
	}
	if highest == 0 {
		return 1
	}
	return 1.1 * highest
}

// about says in what unit the goal is, what its bounds are, and what is better.
func (p *panel) about() string {
	g := goal{most: p.goal.Most}
	text := p.goal.Unit
	if p.goal.Must != 0 {
		text += ", must " + g.bound(p.goal.Must) + " (dashed)"
	}
	if p.goal.Aim != 0 {
		text += ", aim " + g.bound(p.goal.Aim) + " (dotted)"
	}
	return text
}

// about tells which run a point is of.
func (pt point) about(unit string) string {
	return fmt.Sprintf("%s, %s: %s %s (%s to %s)", pt.run.Commit.name(), pt.run.Time.Format("2006-01-02 15:04"),
		bench.Format(pt.Median), unit, bench.Format(pt.Least), bench.Format(pt.Most))
}
