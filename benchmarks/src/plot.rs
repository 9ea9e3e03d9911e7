//! The growth plot: time per decision over the number of rules, both logarithmic, as SVG.
//!
//! No background and colours of middle brightness, so that it reads on light and dark pages.

use std::fmt::Write as _;

use crate::{
    contest::{Measured, Who},
    report::count,
};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 205.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 55.0;

/// The least distance between the labels at the lines' ends.
const LABEL_HEIGHT: f64 = 18.0;

struct Line {
    label: String,
    colour: &'static str,
    width: f64,
    dash: &'static str,
    /// (rules, nanoseconds)
    points: Vec<(f64, f64)>,
}

fn lines(sizes: &[Measured]) -> Vec<Line> {
    let most = sizes.iter().map(|size| size.rules).max();
    let line = |who: Who, json: bool| {
        let (colour, width, dash) = match who {
            Who::Aecp if !json => ("#2f81f7", 3.0, "7 4"),
            Who::Aecp => ("#2f81f7", 3.0, "none"),
            Who::Indexed => ("#2da44e", 2.0, "none"),
            Who::Loop => ("#2da44e", 2.0, "3 4"),
            Who::Cedar => ("#d9822b", 2.0, "none"),
            Who::Machine => ("#b562e8", 2.0, "none"),
            Who::Interpreter => ("#b562e8", 2.0, "3 4"),
        };
        // A peer may not take the largest sets.
        let taken = || sizes.iter().filter_map(|size| Some((size.rules, size.row(who).ok()?)));
        let points = taken()
            .map(|(rules, row)| (rules as f64, if json { row.json.mean } else { row.prepared.mean }));
        let last = taken().map(|(rules, _)| rules).max();
        let label = match last {
            _ if !json => format!("{}, attributes filled", who.label()),
            Some(last) if Some(last) < most => format!("{}, to {}", who.label(), count(last)),
            _ => who.label().to_owned(),
        };
        Line { label, colour, width, dash, points: points.collect() }
    };
    [line(Who::Aecp, false)].into_iter().chain(Who::ALL.map(|who| line(who, true))).collect()
}

/// Whole powers of ten around the values.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (i32, i32) {
    let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
    let high = values.fold(0.0, f64::max).log10().ceil();
    (low as i32, high as i32)
}

/// The SVG of what was measured with at least two sizes.
pub(crate) fn svg(sizes: &[Measured]) -> String {
    let lines = lines(sizes);
    let points = || lines.iter().flat_map(|line| &line.points);
    let (first, last) = decades(points().map(|point| point.0));
    let (low, high) = decades(points().map(|point| point.1));
    let x = |rules: f64| {
        LEFT + (rules.log10() - f64::from(first)) / f64::from(last - first) * (WIDTH - LEFT - RIGHT)
    };
    let y = |ns: f64| {
        HEIGHT - BOTTOM - (ns.log10() - f64::from(low)) / f64::from(high - low) * (HEIGHT - TOP - BOTTOM)
    };
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="#7d8794">
<title>Time per decision from JSON, with 10 rules in scope</title>
<text x="{LEFT}" y="24" font-size="16" font-weight="600">Time per decision from JSON, with 10 rules in scope</text>
<text x="{}" y="{}" text-anchor="middle">rules in the set</text>
<g stroke="#7d8794" stroke-opacity="0.3">"##,
        x(10f64.powf(f64::from(first + last) / 2.0)),
        HEIGHT - 12.0,
    );
    let (left, right) = (x(10f64.powi(first)), x(10f64.powi(last)));
    let (bottom, top) = (y(10f64.powi(low)), y(10f64.powi(high)));
    for at in (low..=high).map(|decade| y(10f64.powi(decade))) {
        let _ = writeln!(out, r#"<path d="M{left:.1} {at:.1}H{right:.1}"/>"#);
    }
    for at in (first..=last).map(|decade| x(10f64.powi(decade))) {
        let _ = writeln!(out, r#"<path d="M{at:.1} {bottom:.1}V{top:.1}"/>"#);
    }
    out.push_str("</g>\n");
    for decade in low..=high {
        let at = y(10f64.powi(decade)) + 4.0;
        let (number, unit) = match decade {
            ..3 => (decade, "ns"),
            3..6 => (decade - 3, "µs"),
            6..9 => (decade - 6, "ms"),
            _ => (decade - 9, "s"),
        };
        let number = 10f64.powi(number);
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{at:.1}" text-anchor="end">{number} {unit}</text>"#,
            left - 8.0
        );
    }
    for decade in first..=last {
        let rules = 10f64.powi(decade);
        let text = if rules < 1000.0 { rules.to_string() } else { format!("{},000", rules / 1000.0) };
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{text}</text>"#,
            x(rules),
            bottom + 20.0
        );
    }
    for line in &lines {
        let path: Vec<_> =
            line.points.iter().map(|(rules, ns)| format!("{:.1} {:.1}", x(*rules), y(*ns))).collect();
        let Line { colour, width, dash, .. } = line;
        let _ = writeln!(
            out,
            r#"<path d="M{}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}" stroke-linejoin="round"/>"#,
            path.join("L")
        );
    }
    let mut labels: Vec<_> =
        lines.iter().filter_map(|line| Some((y(line.points.last()?.1), line))).collect();
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (at, line) in apart(labels) {
        let Line { label, colour, .. } = line;
        let _ = writeln!(
            out,
            r#"<text x="{:.1}" y="{:.1}" fill="{colour}">{label}</text>"#,
            right + 10.0,
            at + 4.0
        );
    }
    out.push_str("</svg>\n");
    out
}

/// Moves labels that stand too close, in order from the top, as little as the ones around them let.
fn apart<T>(mut labels: Vec<(f64, T)>) -> Vec<(f64, T)> {
    for _ in 0..labels.len() * labels.len() {
        for next in 1..labels.len() {
            let overlap = LABEL_HEIGHT - (labels[next].0 - labels[next - 1].0);
            if overlap > 0.0 {
                labels[next - 1].0 -= overlap / 2.0;
                labels[next].0 += overlap / 2.0;
            }
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_apart_and_in_order() {
        let labels = apart(vec![(10.0, 'a'), (11.0, 'b'), (12.0, 'c'), (200.0, 'd')]);
        for pair in labels.windows(2) {
            assert!(pair[1].0 - pair[0].0 > LABEL_HEIGHT - 0.5, "{labels:?}");
        }
        assert_eq!(labels.last(), Some(&(200.0, 'd')));
    }
}
