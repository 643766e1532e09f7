//! Latency by percentile, one drawing for each scenario and load.

use super::chart::{Anchor, Canvas, Scale, WIDTH, series, short};
use super::markup::element;
use crate::schema::{LatencyCurve, LatencyPoint, Results};

const TOP: f64 = 22.0;
const BOTTOM: f64 = 190.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 14.0;

/// Percentiles with a tick.
const TICKS: [(f64, &str); 4] = [(50.0, "50"), (90.0, "90"), (99.0, "99"), (99.9, "99.9")];

/// The drawings with their legends.
pub(super) fn latency(results: &Results) -> Vec<String> {
    let mut groups: Vec<Vec<&LatencyCurve>> = Vec::new();
    for curve in &results.latency {
        let same = |group: &&mut Vec<&LatencyCurve>| {
            let first = group.first();
            first.is_some_and(|first| {
                first.scenario == curve.scenario && first.load.to_bits() == curve.load.to_bits()
            })
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(curve),
            None => groups.push(vec![curve]),
        }
    }
    let drawn = groups.iter().enumerate();
    drawn
        .filter_map(|(index, group)| drawing(group, &format!("latency-{index}")))
        .collect()
}

/// Each nine takes as much room as the one before; the maximum, which has no place on such a scale, stands in the table.
fn nines(percentile: f64) -> Option<f64> {
    let place = -(1.0 - percentile / 100.0).log10();
    (place.is_finite() && (0.0..=5.0).contains(&place)).then_some(place)
}

fn drawing(curves: &[&LatencyCurve], id: &str) -> Option<String> {
    let first = curves.first()?;
    let shown = |point: &&LatencyPoint| nines(point.percentile).is_some();
    let points = || curves.iter().flat_map(|curve| &curve.points).filter(shown);
    let places = points().filter_map(|point| nines(point.percentile));
    let x = Scale::new(places, (LEFT, RIGHT), false)?;
    let y = Scale::new(
        points().map(|point| point.nanos as f64),
        (BOTTOM, TOP),
        true,
    )?;
    let mut canvas = Canvas::new();
    if points().any(|point| point.percentile > 99.0) {
        let from = x.at(2.0);
        canvas.rect((from, TOP), (RIGHT - from, BOTTOM - TOP), "band");
        canvas.text(
            RIGHT,
            TOP - 8.0,
            Anchor::End,
            "small",
            "above p99: the scheduler",
        );
    }
    for (percentile, label) in TICKS {
        if let Some(at) = nines(percentile).map(|place| x.at(place)) {
            canvas.line((at, BOTTOM), (at, BOTTOM + 4.0), "axis");
            canvas.text(at, BOTTOM + 16.0, Anchor::Middle, "small", label);
        }
    }
    let decades = (0..12).flat_map(|power| {
        let decade = 10_f64.powi(power);
        [decade, 2.0 * decade, 5.0 * decade]
    });
    for tick in y.ticks(&decades.collect::<Vec<_>>(), 24.0) {
        canvas.line((LEFT, y.at(tick)), (RIGHT, y.at(tick)), "grid");
        canvas.text(
            LEFT - 5.0,
            y.at(tick) + 4.0,
            Anchor::End,
            "small",
            &round(tick),
        );
    }
    canvas.line((LEFT, BOTTOM), (RIGHT, BOTTOM), "axis");
    canvas.text(
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 32.0,
        Anchor::Middle,
        "small",
        "percentile of operations",
    );
    for (index, curve) in curves.iter().enumerate() {
        let at = |point: &LatencyPoint| {
            let place = nines(point.percentile)?;
            Some((x.at(place), y.at(point.nanos as f64)))
        };
        let line: Vec<(f64, f64)> = curve.points.iter().filter_map(at).collect();
        canvas.path(&line, &series(index));
    }
    let name = format!(
        "{}, at {:.0} % of saturation",
        first.scenario,
        first.load * 100.0
    );
    let description = "Latency from the intended start of an operation, by percentile, a line for each arm; both scales \
                       are logarithmic. The figures are in the table below.";
    let svg = canvas.finish(
        BOTTOM + 38.0,
        id,
        &format!("Latency of {name}"),
        description,
    );
    let names: Vec<&str> = curves.iter().map(|curve| curve.arm.as_str()).collect();
    Some(format!(
        "<figure>{}{svg}{}</figure>\n",
        element("figcaption", &name),
        legend(&names)
    ))
}

fn round(value: f64) -> String {
    match value {
        v if v < 1e3 => format!("{v} ns"),
        v if v < 1e6 => format!("{} µs", v / 1e3),
        v if v < 1e9 => format!("{} ms", v / 1e6),
        v => format!("{} s", v / 1e9),
    }
}

/// Which line is whose.
pub(super) fn legend(names: &[&str]) -> String {
    let mut out = String::from("<ul class=\"legend\">");
    for (index, name) in names.iter().enumerate() {
        out.push_str(&format!(
            "<li><svg class=\"swatch\" viewBox=\"0 0 30 8\" aria-hidden=\"true\"><line x1=\"0\" y1=\"4\" x2=\"30\" \
             y2=\"4\" class=\"{}\"/></svg>{}</li>",
            series(index),
            super::markup::escaped(&short(name, 40))
        ));
    }
    out.push_str("</ul>");
    out
}
