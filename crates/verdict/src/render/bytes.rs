//! Bytes per entry by the number of entries, a line for each arm.

use super::chart::{Anchor, Canvas, Scale, WIDTH, series};
use super::markup::{element, escaped};
use crate::schema::{BytesFigure, MapState, Results};

const TOP: f64 = 14.0;
const BOTTOM: f64 = 180.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 24.0;

/// The drawing with its legend; `None` where nothing was measured of a filled map.
pub(super) fn bytes(results: &Results) -> Option<String> {
    let filled = || {
        let of = |figure: &&BytesFigure| figure.state == MapState::Filled && figure.entries > 0;
        results.bytes.iter().filter(of)
    };
    let mut arms: Vec<&str> = Vec::new();
    for figure in filled() {
        if !arms.contains(&figure.arm.as_str()) {
            arms.push(&figure.arm);
        }
    }
    let per_entry = filled().filter_map(BytesFigure::per_entry);
    let x = Scale::new(
        filled().map(|figure| figure.entries as f64),
        (LEFT, RIGHT),
        true,
    )?;
    // A memory scale that does not begin at nothing would make small differences look large.
    let y = Scale::new(per_entry.chain([0.0]), (BOTTOM, TOP), false)?.upwards();
    let mut canvas = Canvas::new();
    let decades: Vec<f64> = (0..12).map(|power| 10_f64.powi(power)).collect();
    for tick in x.ticks(&decades, 30.0) {
        canvas.line((x.at(tick), BOTTOM), (x.at(tick), BOTTOM + 4.0), "axis");
        let label = label(tick);
        canvas.text(x.at(tick), BOTTOM + 16.0, Anchor::Middle, "small", &label);
    }
    for tick in y.steps(5.0) {
        canvas.line((LEFT, y.at(tick)), (RIGHT, y.at(tick)), "grid");
        canvas.text(
            LEFT - 5.0,
            y.at(tick) + 4.0,
            Anchor::End,
            "small",
            &label(tick),
        );
    }
    canvas.line((LEFT, BOTTOM), (RIGHT, BOTTOM), "axis");
    canvas.text(
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 32.0,
        Anchor::Middle,
        "small",
        "entries",
    );
    for (index, arm) in arms.iter().enumerate() {
        let mut own: Vec<&BytesFigure> = filled().filter(|figure| figure.arm == *arm).collect();
        own.sort_by_key(|figure| figure.entries);
        let at =
            |figure: &&BytesFigure| Some((x.at(figure.entries as f64), y.at(figure.per_entry()?)));
        let line: Vec<(f64, f64)> = own.iter().filter_map(at).collect();
        canvas.path(&line, &series(index));
        for point in line {
            canvas.dot(point, 2.5, &series(index));
        }
    }
    let name = "Bytes per entry of a filled map";
    let description = "Bytes per entry against the number of entries, a line for each arm. The figures are in the table below.";
    let svg = canvas.finish(BOTTOM + 38.0, "bytes-0", name, description);
    Some(format!(
        "<figure>{}{svg}{}</figure>\n",
        element("figcaption", name),
        legend(&arms)
    ))
}

fn label(value: f64) -> String {
    match value {
        v if v < 1e3 => v.to_string(),
        v if v < 1e6 => format!("{} k", v / 1e3),
        v if v < 1e9 => format!("{} M", v / 1e6),
        v => format!("{} G", v / 1e9),
    }
}

/// The styles of the lines, by name.
fn legend(names: &[&str]) -> String {
    let mut out = String::from("<ul class=\"legend\">");
    for (index, name) in names.iter().enumerate() {
        out.push_str(&format!(
            "<li><svg class=\"swatch\" viewBox=\"0 0 32 8\" aria-hidden=\"true\"><path d=\"M0 4H32\" class=\"{}\"/></svg>{}</li>",
            series(index),
            escaped(name)
        ));
    }
    out.push_str("</ul>");
    out
}
