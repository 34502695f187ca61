//! Plots as SVG: lines over a logarithmic axis of powers of two or ten, readable on a light and on a dark page.

use std::fmt::Write as _;

use cumulog_benches::spread::Spread;

use crate::table::number;

/// Some lines.
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x_label: &'static str,
    pub(crate) y_label: &'static str,
    /// The places on the horizontal axis that get a label.
    pub(crate) x_ticks: Vec<(f64, String)>,
    pub(crate) lines: Vec<Line>,
}

/// A line: medians, and a thin bar for the range of each.
pub(crate) struct Line {
    pub(crate) name: String,
    /// A control.
    pub(crate) is_dashed: bool,
    pub(crate) points: Vec<(f64, Spread)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 78.0;
/// Names of lines stand here.
const RIGHT: f64 = 150.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 52.0;
/// Names of lines are at least this far apart.
const NAME_HEIGHT: f64 = 16.0;

/// Eight colours that differ also for the colour-blind, once for a light page and once for a dark one.
const STYLE: &str = "
text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-size: 14px; font-weight: 600 }
.grid { stroke: #ddd } .line { fill: none; stroke-width: 2 } .range { stroke-width: 1; opacity: .6 }
.dashed { stroke-dasharray: 5 4 } .page { fill: #fff }
.c0 { stroke: #0062b1 } .c1 { stroke: #c75000 } .c2 { stroke: #008556 } .c3 { stroke: #a3317f }
.c4 { stroke: #8a6d00 } .c5 { stroke: #4d4d4d } .c6 { stroke: #0089a8 } .c7 { stroke: #b3202c }
@media (prefers-color-scheme: dark) {
text { fill: #ccc } .grid { stroke: #333 } .page { fill: #111 }
.c0 { stroke: #5cb0ff } .c1 { stroke: #ff9f57 } .c2 { stroke: #3fd6a0 } .c3 { stroke: #ee8ccf }
.c4 { stroke: #e5c443 } .c5 { stroke: #b5b5b5 } .c6 { stroke: #56d3ea } .c7 { stroke: #ff7a80 }
}
";
const COLOURS: usize = 8;

/// A logarithmic axis.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let share = (value / self.low).ln() / (self.high / self.low).ln();
        self.from + share * (self.to - self.from)
    }
}

impl Plot {
    pub(crate) fn svg(&self) -> String {
        let (x, y) = self.axes();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{0}\">\n<style>{STYLE}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"22\">{0}</text>\n",
            escape(&self.title)
        );
        self.draw_grid(&x, &y, &mut svg);
        for (index, line) in self.lines.iter().enumerate() {
            line.draw(index % COLOURS, &x, &y, &mut svg);
        }
        self.draw_names(&y, &mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(&self) -> (Axis, Axis) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis {
            low: points().map(|point| point.0).fold(f64::MAX, f64::min),
            high: points().map(|point| point.0).fold(f64::MIN, f64::max),
            from: LEFT + 12.0,
            to: WIDTH - RIGHT - 12.0,
        };
        let low = points().map(|point| point.1.low).fold(f64::MAX, f64::min);
        let high = points().map(|point| point.1.high).fold(f64::MIN, f64::max);
        let y = Axis {
            low: 10f64.powf(low.log10().floor()),
            high: 10f64.powf(high.log10().ceil()),
            from: HEIGHT - BOTTOM,
            to: TOP,
        };
        (x, y)
    }

    fn draw_grid(&self, x: &Axis, y: &Axis, svg: &mut String) {
        let mut value = y.low;
        while value <= y.high * 1.001 {
            let place = y.place(value);
            let end = WIDTH - RIGHT;
            put(
                svg,
                format_args!(
                    "<path class=\"grid\" d=\"M{LEFT} {place:.1}H{end}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                    LEFT - 6.0,
                    place + 4.0,
                    tick(value)
                ),
            );
            value *= 10.0;
        }
        for (value, text) in &self.x_ticks {
            let place = x.place(*value);
            put(
                svg,
                format_args!(
                    "<text x=\"{place:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                    HEIGHT - BOTTOM + 18.0,
                    escape(text)
                ),
            );
        }
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        put(
            svg,
            format_args!(
                "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text x=\"{LEFT}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                HEIGHT - 12.0,
                escape(self.x_label),
                TOP - 8.0,
                escape(self.y_label)
            ),
        );
    }

    /// Beside the ends of the lines, moved apart where these are close.
    fn draw_names(&self, y: &Axis, svg: &mut String) {
        let mut names: Vec<(f64, usize)> = self
            .lines
            .iter()
            .enumerate()
            .filter_map(|(index, line)| Some((y.place(line.points.last()?.1.median), index)))
            .collect();
        names.sort_by(|one, other| one.0.total_cmp(&other.0));
        let mut lowest = TOP - NAME_HEIGHT;
        for (place, index) in names {
            lowest = place.max(lowest + NAME_HEIGHT);
            let line = &self.lines[index];
            let (start, dashed) = (WIDTH - RIGHT + 4.0, line.dashed());
            put(
                svg,
                format_args!(
                    "<path class=\"line c{}{dashed}\" d=\"M{start} {lowest:.1}h16\"/>\
                 <text x=\"{}\" y=\"{:.1}\">{}</text>\n",
                    index % COLOURS,
                    start + 21.0,
                    lowest + 4.0,
                    escape(&line.name)
                ),
            );
        }
    }
}

impl Line {
    fn dashed(&self) -> &'static str {
        if self.is_dashed { " dashed" } else { "" }
    }

    fn draw(&self, colour: usize, x: &Axis, y: &Axis, svg: &mut String) {
        let mut path = String::new();
        for (value, figure) in &self.points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let place = x.place(*value);
            put(
                &mut path,
                format_args!("{command}{place:.1} {:.1}", y.place(figure.median)),
            );
            put(
                svg,
                format_args!(
                    "<path class=\"range c{colour}\" d=\"M{place:.1} {:.1}V{:.1}\"/>\n",
                    y.place(figure.low),
                    y.place(figure.high)
                ),
            );
        }
        put(
            svg,
            format_args!(
                "<path class=\"line c{colour}{}\" d=\"{path}\"/>\n",
                self.dashed()
            ),
        );
    }
}

/// A power of ten.
fn tick(value: f64) -> String {
    if value < 1.0 {
        format!("{value:.*}", -value.log10().round() as usize)
    } else {
        number(value)
    }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("a String takes everything");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
