//! Line charts as SVG: a logarithmic horizontal axis, and a vertical axis from 0.

use std::fmt::Write as _;

use crate::figures::number;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 4] = ["#c0392b", "#2c3e50", "#2980b9", "#27ae60"];
/// Horizontal grid lines besides the one at 0.
const STEPS: u8 = 4;

pub struct Chart {
    /// Its file name, without `.svg`.
    pub file: &'static str,
    pub title: &'static str,
    /// The label of the horizontal axis.
    pub across: &'static str,
    /// The label of the vertical axis, with its unit.
    pub up: &'static str,
    /// Its lines, at most four.
    pub lines: Vec<Line>,
}

/// One line.
pub struct Line {
    pub name: &'static str,
    /// Its points; horizontal values are greater than 0.
    pub points: Vec<(f64, f64)>,
}

/// Maps values to positions in the chart.
struct Scale {
    least: f64,
    decades: f64,
    highest: f64,
}

impl Scale {
    fn of(lines: &[Line]) -> Self {
        let points = || lines.iter().flat_map(|line| &line.points);
        let least = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
        let greatest = points().map(|point| point.0).fold(f64::MIN_POSITIVE, f64::max);
        let highest = points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
        Self { least, decades: (greatest / least).log10().max(0.1), highest: highest * 1.05 }
    }

    fn x(&self, value: f64) -> f64 {
        LEFT + (value / self.least).log10() / self.decades * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.highest * (HEIGHT - TOP - BOTTOM)
    }
}

impl Chart {
    /// The chart as SVG.
    pub fn svg(&self) -> String {
        let scale = Scale::of(&self.lines);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        text(&mut svg, LEFT, 22.0, "start", self.title);
        text(&mut svg, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12.0, "middle", self.across);
        text(&mut svg, LEFT - 8.0, TOP - 6.0, "end", self.up);
        self.grid(&mut svg, &scale);
        for (line, colour) in self.lines.iter().zip(COLOURS) {
            line.draw(&mut svg, &scale, colour);
        }
        svg + "</svg>\n"
    }

    fn grid(&self, svg: &mut String, scale: &Scale) {
        for step in 0..=STEPS {
            let value = scale.highest * f64::from(step) / f64::from(STEPS);
            let (y, right) = (scale.y(value), WIDTH - RIGHT);
            writeln!(svg, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>").unwrap();
            text(svg, LEFT - 8.0, y + 4.0, "end", &number(value));
        }
        let mut values: Vec<f64> =
            self.lines.iter().flat_map(|line| line.points.iter().map(|p| p.0)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        for value in values {
            text(svg, scale.x(value), HEIGHT - BOTTOM + 18.0, "middle", &format!("{value}"));
        }
    }
}

impl Line {
    fn draw(&self, svg: &mut String, scale: &Scale, colour: &str) {
        let place = |&(across, up): &(f64, f64)| (scale.x(across), scale.y(up));
        let path: Vec<String> =
            self.points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        writeln!(svg, "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>")
            .unwrap();
        for (x, y) in self.points.iter().map(place) {
            writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>").unwrap();
        }
        if let Some((x, y)) = self.points.last().map(place) {
            text(svg, x + 8.0, y + 4.0, "start", self.name);
        }
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>").unwrap();
}
