package main

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// A drawing is an SVG picture that grows shape by shape. Lengths are in pixels, from the top left.
type drawing struct {
	width, height float64
	shapes        strings.Builder
}

// style is the picture's; what a shape shows decides its class.
const style = `text{font:11px sans-serif;fill:#333}.title{font-weight:bold}.end{text-anchor:end}` +
	`.frame{fill:none;stroke:#ccc}.must{stroke:#c33;stroke-dasharray:5 3}.aim{stroke:#393;stroke-dasharray:2 3}` +
	`.spread{stroke:#69c;stroke-width:2}.median{fill:#147}.trend{fill:none;stroke:#147}`

func (d *drawing) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(&d.shapes, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n", class, x, y, width, height)
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&d.shapes, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", class, x1, y1, x2, y2)
}

// dot draws a point that tells more when the mouse is over it.
func (d *drawing) dot(class string, x, y float64, more string) {
	fmt.Fprintf(&d.shapes, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>%s</title></circle>`+"\n", class, x, y, html.EscapeString(more))
}

func (d *drawing) text(class string, x, y float64, text string) {
	fmt.Fprintf(&d.shapes, `<text class="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, x, y, html.EscapeString(text))
}

// writeTo writes the picture, on white, as it is also looked at on dark pages.
func (d *drawing) writeTo(out io.Writer) error {
	_, err := fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f">
<style>%s</style>
<rect width="100%%" height="100%%" fill="#fff"/>
%s</svg>
`, d.width, d.height, d.width, d.height, style, &d.shapes)
	return err
}
