package main

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// The plots are written as SVG without a library: of the maintained ones,
// go-analyze/charts has no logarithmic axes, and gonum/plot lays out text for embedded
// fonts that readers do not have, and needs ten modules.

// theme is a set of colours. GitHub shows the file that fits the reader's theme.
type theme struct{ name, text, muted, line, bar, accent string }

var themes = []theme{
	{"light", "#1f2328", "#59636e", "#d8dee4", "#c9d1d9", "#0f766e"},
	{"dark", "#e6edf3", "#9198a1", "#30363d", "#484f58", "#2dd4bf"},
}

// figuresIn is the document that has the table of figures.
const figuresIn = "../../docs/benchmarks.md"

// plots draws the results and returns contents by file name, among them figuresIn with a
// new table of figures.
func plots() (map[string][]byte, error) {
	peers, err := load("results/peers.jsonl")
	if err != nil {
		return nil, err
	}
	growth, err := load("results/growth.jsonl")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(figuresIn)
	if err != nil {
		return nil, err
	}
	const mark = "<!-- make plot -->\n"
	part := strings.Split(string(text), mark)
	if len(part) != 3 {
		return nil, fmt.Errorf("%s: want two lines %q", figuresIn, mark)
	}
	files := map[string][]byte{
		figuresIn:           []byte(part[0] + mark + figures(peers) + ratios(peers, growth) + mark + part[2]),
		"results/peers.md":  []byte("Written by `make plot`. Medians of the rounds; lowest..highest in brackets.\n" + markdown(peers)),
		"results/growth.md": []byte("Written by `make plot`.\n" + markdown(growth)),
	}
	for _, t := range themes {
		files["results/peers-"+t.name+".svg"] = plotPeers(t, peers)
		files["results/growth-"+t.name+".svg"] = plotGrowth(t, growth)
	}
	return files, nil
}

func writePlots() error {
	files, err := plots()
	if err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// figures is the table of figures: each peer's figure, and in brackets how it compares
// with the bare hub. Rows that have a mix take both from it once it has run, but for
// peers that it leaves out.
func figures(rs []Result) string {
	columns := []struct {
		peer  string
		mixed bool
	}{{"troupe", true}, {"troupe-sqlite", true}, {"rawcoder-frame", true}, {"centrifuge-rec", true}, {"rivetkit22", false}}
	var b strings.Builder
	b.WriteString("| | Troupe, in memory | Troupe, durable | bare hub in Go | Centrifuge | RivetKit 2.2 |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, row := range []struct {
		name, scenario, figure string
		cpus                   int
		mix                    string
	}{
		{"broadcast to 1,000: µs of CPU per delivery", "fanout", "server_cpu_us_per_delivery", 1, "mix-fanout"},
		{"… at 20 messages a second", "paced20", "server_cpu_us_per_delivery", 1, ""},
		{"… at 50 messages a second", "paced50", "server_cpu_us_per_delivery", 1, ""},
		{"… its median latency, ms", "paced50", "p50_ms", 1, ""},
		{"… its 99th percentile, ms", "paced50", "p99_ms", 1, ""},
		{"call: µs of CPU per action", "rpc", "server_cpu_us_per_action", 1, "mix-rpc"},
		{"back after 100 missed events: µs of CPU per event", "resume@100", "server_cpu_us_per_event", 1, ""},
		{"idle: KB resident per connection, of 5,000", "idle", "rss_kb_per_conn", 1, ""},
		{"server on two cores: µs of CPU per delivery", "fanout", "server_cpu_us_per_delivery", 2, ""},
		{"… µs of CPU per action", "rpc", "server_cpu_us_per_action", 2, ""},
	} {
		fmt.Fprintf(&b, "| %s |", row.name)
		base, _ := value(rs, "rawcoder-frame", row.scenario, row.cpus, row.figure)
		mixed := slices.ContainsFunc(rs, func(r Result) bool { return r.Scenario == row.mix })
		for _, c := range columns {
			scenario := row.scenario
			if mixed && c.mixed {
				scenario = row.mix
			}
			v, ok := value(rs, c.peer, scenario, row.cpus, row.figure)
			ratio := 0.0
			if scenario == row.mix {
				ratio, _ = value(rs, c.peer, scenario, row.cpus, "ratio_to_rawcoder-frame")
			} else if base > 0 {
				ratio = v / base
			}
			switch {
			case !ok:
				b.WriteString(" – |")
			case c.peer == "rawcoder-frame" || ratio == 0:
				fmt.Fprintf(&b, " %s |", short(v))
			default:
				fmt.Fprintf(&b, " %s (%s×) |", short(v), short(ratio))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// ratios are the sentences below the table: other deliveries compared with a broadcast,
// and calls compared with a peer that also keeps a history.
func ratios(peers, growth []Result) string {
	us := func(scenario, figure string) float64 {
		v, _ := value(peers, "troupe", scenario, 1, figure)
		return v
	}
	kb := func(scenario string) float64 {
		v, _ := value(growth, "troupe", scenario, 1, "live_kb_per_conn")
		return v
	}
	live := us("connections@1000", "server_cpu_us_per_delivery")
	text := fmt.Sprintf("\nPer delivery to 1,000, a loop of `Send` costs %s times what `Broadcast` does, one with `Where` %s times, and what\n"+
		"connections have missed, sent when they are back, %s times. A further connection on a socket takes %s KB.\n",
		short(us("targeted@1000", "server_cpu_us_per_delivery")/live), short(us("where@1000", "server_cpu_us_per_delivery")/live),
		short(us("resume@100", "server_cpu_us_per_event")/live), short((500*kb("channels@500")-kb("channels@1"))/499))
	memory, ok := value(peers, "troupe", "mix-rpc", 1, "ratio_to_centrifuge-rec")
	durable, ok2 := value(peers, "troupe-sqlite", "mix-rpc", 1, "ratio_to_centrifuge-rec")
	if ok && ok2 {
		text += fmt.Sprintf("\nA call costs %s times what it costs with Centrifuge when Troupe keeps it in memory, as Centrifuge does, and\n"+
			"%s times when it is durable on SQLite before anybody sees it.\n", short(memory), short(durable))
	}
	return text
}

// value is the median of a figure over the rounds.
func value(rs []Result, peer, scenario string, cpus int, figure string) (float64, bool) {
	var v []float64
	for _, r := range rs {
		if x, ok := r.M[figure]; ok && r.Err == "" && r.Peer == peer && r.Scenario == scenario && r.CPUs == cpus {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	return median(v), true
}

// canvas is an SVG being written.
type canvas struct {
	bytes.Buffer
	t theme
}

func newCanvas(t theme, w, h int, title string) *canvas {
	c := &canvas{t: t}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui,-apple-system,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif" font-size="12" fill="%s">`+"\n", w, h, w, h, t.muted)
	fmt.Fprintf(c, "<title>%s</title>\n", html.EscapeString(title))
	return c
}

func (c *canvas) done() []byte {
	c.WriteString("</svg>\n")
	return c.Bytes()
}

// text writes a line; style is further attributes.
func (c *canvas) text(x, y float64, style, s string) {
	fmt.Fprintf(c, `<text x="%s" y="%s" %s>%s</text>`+"\n", px(x), px(y), style, html.EscapeString(s))
}

func (c *canvas) heading(x, y float64, s string) {
	c.text(x, y, `font-size="14" font-weight="600" fill="`+c.t.text+`"`, s)
}

func (c *canvas) path(points [][2]float64, style string) {
	var d []string
	for _, p := range points {
		d = append(d, px(p[0])+" "+px(p[1]))
	}
	fmt.Fprintf(c, `<path d="M%s" fill="none" %s/>`+"\n", strings.Join(d, "L"), style)
}

func px(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// shown are the names of the peers in the plot, and where a message is stored when its
// sender gets the reply.
var shown = []struct{ peer, name, keeps string }{
	{"troupe", "Troupe", "in memory"},
	{"troupe-sqlite", "Troupe", "durable"},
	{"rawcoder-frame", "bare hub, Go", "in memory"},
	{"centrifuge-rec", "Centrifuge", "in memory"},
	{"rivetkit22", "RivetKit 2.2", "saved later"},
	{"rivetkit", "RivetKit 2.3", "saved later"},
	{"workerd", "Durable Objects", "in memory"},
	{"ws", "bare hub, Node", "in memory"},
	{"socketio", "Socket.IO", "in memory"},
	{"colyseus", "Colyseus", "in memory"},
}

// plotPeers draws a bar per peer: the work done per second of CPU time.
func plotPeers(t theme, rs []Result) []byte {
	type bar struct {
		name, keeps string
		v           float64
	}
	const width, left, row, top = 420.0, 186.0, 25.0, 58.0
	panels := []struct{ title, under, scenario, figure string }{
		{"Broadcast: deliveries per second of CPU", "one message to 1,000 subscribers", "fanout", "server_cpu_us_per_delivery"},
		{"Calls: actions per second of CPU", "64 rooms with a history of 100 messages", "rpc", "server_cpu_us_per_action"},
	}
	rows := 0
	var all [][]bar
	for _, p := range panels {
		var bars []bar
		for _, s := range shown {
			if us, ok := value(rs, s.peer, p.scenario, 1, p.figure); ok && us > 0 {
				bars = append(bars, bar{s.name, s.keeps, 1e6 / us})
			}
		}
		slices.SortStableFunc(bars, func(a, b bar) int { return cmp.Compare(b.v, a.v) })
		all = append(all, bars)
		rows = max(rows, len(bars))
	}
	h := int(top + float64(rows)*row + 22)
	c := newCanvas(t, 2*width+20, h, "What a second of server CPU does: Troupe beside other systems")
	for i, p := range panels {
		x := float64(i) * (width + 20)
		c.heading(x, 18, p.title)
		c.text(x, 37, "", p.under+"; more is better")
		most := 0.0
		for _, b := range all[i] {
			most = max(most, b.v)
		}
		for j, b := range all[i] {
			y := top + float64(j)*row
			fill, label := t.bar, `fill="`+t.text+`"`
			if b.name == "Troupe" {
				fill, label = t.accent, `font-weight="600" fill="`+t.text+`"`
			}
			fmt.Fprintf(c, `<text x="%s" y="%s" text-anchor="end"><tspan %s>%s</tspan><tspan font-size="11" dx="5">%s</tspan></text>`+"\n",
				px(x+left-10), px(y+13), label, b.name, b.keeps)
			w := max(2, b.v/most*(width-left-52))
			fmt.Fprintf(c, `<rect x="%s" y="%s" width="%s" height="17" rx="3" fill="%s"/>`+"\n", px(x+left), px(y), px(w), fill)
			c.text(x+left+w+7, y+13, label, short(b.v))
		}
	}
	c.text(0, float64(h)-6, `font-size="11"`, "All in one run on one machine, each server alone on one core. User and system time of all of its processes.")
	return c.done()
}

// series is a line of a panel: a figure of the scenarios NAME@N of a peer.
type series struct {
	peer, scenario, figure string
	label                  string // if the panel has several
}

type panel struct {
	title, unit, axis string
	lines             []series
	linear            bool // draw what would be linear
}

var growthPanels = []panel{
	{title: "Connections of an actor", unit: "µs per delivery", axis: "connections", lines: []series{{"troupe", "connections", "server_cpu_us_per_delivery", ""}}},
	{title: "Actors", unit: "µs per durable action", axis: "actors", lines: []series{{"troupe-sqlite", "actors", "server_cpu_us_per_action", ""}}},
	{title: "Length of the log", unit: "µs per action", axis: "entries", lines: []series{{"troupe", "log", "server_cpu_us_per_action", ""}}},
	{title: "Connections on a socket", unit: "µs per delivery", axis: "connections", lines: []series{{"troupe", "channels", "server_cpu_us_per_delivery", ""}}},
	{title: "Connections on a socket", unit: "KB of memory per connection", axis: "connections", lines: []series{{"troupe", "channels", "live_kb_per_conn", ""}}},
	{title: "Missed events", unit: "µs per resume", axis: "events", lines: []series{{"troupe", "resume", "server_cpu_us_per_resume", ""}}, linear: true},
	{title: "Targets of a broadcast", unit: "µs per message, of 1,000", axis: "targets", lines: []series{{"troupe", "where", "server_cpu_us_per_message", ""}}, linear: true},
	{title: "Size of the state", unit: "µs per action that changes it", axis: "bytes", lines: []series{
		{"troupe", "state", "server_cpu_us_per_action", "a field"}, {"troupe", "list", "server_cpu_us_per_action", "a List"}}, linear: true},
}

// plotGrowth draws a small plot per scenario. A decade has the same length in all of them
// and in both directions, so that slopes can be compared.
func plotGrowth(t theme, rs []Result) []byte {
	const columns, width, decade, decadesX, decadesY, top = 4, 215.0, 33.0, 5.0, 4.0, 46.0
	const height = top + decadesY*decade + 50
	rows := (len(growthPanels) + columns - 1) / columns
	c := newCanvas(t, columns*width, int(float64(rows)*height)+16, "How the cost of one unit of work grows")
	for i, p := range growthPanels {
		x0, y0 := float64(i%columns)*width+28, float64(i/columns)*height
		bottom := y0 + top + decadesY*decade
		c.heading(x0-28, y0+16, p.title)
		c.text(x0-28, y0+33, "", p.unit)
		var lines [][][2]float64
		low, from := math.Inf(1), math.Inf(1)
		for _, s := range p.lines {
			points := pointsOf(rs, s)
			lines = append(lines, points)
			for _, pt := range points {
				from, low = min(from, pt[0]), min(low, pt[1])
			}
		}
		if math.IsInf(low, 1) {
			continue
		}
		left, base := 0.0, math.Floor(math.Log10(low))
		if from >= 1000 {
			left = 3
		}
		if !p.linear { // in the middle
			base--
		}
		at := func(pt [2]float64) [2]float64 {
			return [2]float64{x0 + (math.Log10(pt[0])-left)*decade, bottom - (math.Log10(pt[1])-base)*decade}
		}
		for k := 0.0; k <= decadesY; k++ {
			y := bottom - k*decade
			c.path([][2]float64{{x0, y}, {x0 + decadesX*decade, y}}, `stroke="`+t.line+`"`)
			c.text(x0-5, y+4, `font-size="10" text-anchor="end"`, short(math.Pow(10, base+k)))
		}
		for k := 0.0; k <= decadesX; k++ {
			c.text(x0+k*decade, bottom+14, `font-size="10" text-anchor="middle"`, short(math.Pow(10, left+k)))
		}
		c.text(x0+decadesX*decade/2, bottom+29, `font-size="11" text-anchor="middle"`, p.axis)
		for j, points := range lines {
			if len(points) == 0 {
				continue
			}
			first, last := points[0], points[len(points)-1]
			if j == 0 && p.linear {
				n := min(last[0]/first[0], last[1]/math.Pow(10, base)) // through the last point, down to the frame
				c.path([][2]float64{at([2]float64{last[0] / n, last[1] / n}), at(last)}, `stroke="`+t.muted+`" stroke-dasharray="2 4"`)
			}
			color := t.accent
			if j < len(lines)-1 { // the last is the recommended one
				color = t.muted
			}
			var drawn [][2]float64
			for _, pt := range points {
				drawn = append(drawn, at(pt))
			}
			c.path(drawn, `stroke="`+color+`" stroke-width="2" stroke-linejoin="round"`)
			for _, d := range drawn {
				fmt.Fprintf(c, `<circle cx="%s" cy="%s" r="2.5" fill="%s"/>`+"\n", px(d[0]), px(d[1]), color)
			}
			bold := `font-size="11" font-weight="600" fill="` + t.text + `" text-anchor=`
			a, z := drawn[0], drawn[len(drawn)-1]
			if j == 0 || math.Abs(first[1]-lines[0][0][1]) > first[1] { // else two labels are in one place
				c.text(a[0]+2, a[1]-8, bold+`"start"`, short(first[1]))
			}
			c.text(z[0]+2, z[1]-8, bold+`"end"`, short(last[1]))
			if p.lines[j].label != "" {
				c.text(z[0]-30, z[1]-8, `font-size="11" text-anchor="end"`, p.lines[j].label)
			}
		}
	}
	c.text(0, float64(rows)*height+10, `font-size="11"`, "CPU of the server, user and system, on one core. A level line: the same at any size. Dotted: in proportion to the work.")
	return c.done()
}

// pointsOf are the measured points of a line, in order of N.
func pointsOf(rs []Result, s series) [][2]float64 {
	var points [][2]float64
	for _, r := range rs {
		name, n, ok := strings.Cut(r.Scenario, "@")
		x, err := strconv.ParseFloat(n, 64)
		if !ok || err != nil || name != s.scenario {
			continue
		}
		if slices.ContainsFunc(points, func(p [2]float64) bool { return p[0] == x }) {
			continue // another round
		}
		if v, ok := value(rs, s.peer, r.Scenario, 1, s.figure); ok && v > 0 {
			points = append(points, [2]float64{x, v})
		}
	}
	slices.SortFunc(points, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	return points
}

// short is a number in three digits or less, with k and M.
func short(v float64) string {
	unit := ""
	switch {
	case v >= 999_500:
		v, unit = v/1e6, "M"
	case v >= 999.5:
		v, unit = v/1e3, "k"
	}
	digits := max(0, min(2, 1-int(math.Floor(math.Log10(v)))))
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s + unit
}
