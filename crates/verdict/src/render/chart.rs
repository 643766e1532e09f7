//! The drawing of a place: what each arm gains on the incumbent, with its interval, its blocks, the threshold and the noise.
//!
//! The scale is that of what is compared, and ends at a loss of a half. What lies beyond is an arrow at the edge, with its
//! figures beside it: a baseline that takes four times as long would press all others into a corner.

use super::markup::escaped;
use super::tables::role;
use crate::analysis::{Analysis, Estimate};
use crate::schema::{Arm, Role};
use crate::states::State;
use crate::text::{interval, signed};

/// Units across. A column is between 340 and 560 pixels wide, so that text keeps its size from a phone to a desk.
const WIDTH: f64 = 360.0;
const MARGIN: f64 = 10.0;
const ROW: f64 = 42.0;
const TOP: f64 = 34.0;
/// The ends of the longest scale.
const MOST: (f64, f64) = (-0.5, 0.9);

/// From gains to units.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let shown = values.filter(|value| value.is_finite());
        let shown = shown.map(|value| value.clamp(MOST.0, MOST.1));
        let ends = shown.fold((-0.02_f64, 0.02_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        let pad = (ends.1 - ends.0) * 0.06;
        Self {
            low: ends.0 - pad,
            high: ends.1 + pad,
        }
    }

    fn holds(&self, gain: f64) -> bool {
        (self.low..=self.high).contains(&gain)
    }

    /// At the edge where it lies beyond.
    fn at(&self, gain: f64) -> f64 {
        let share = (gain.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        MARGIN + share * (WIDTH - 2.0 * MARGIN)
    }

    /// Whole per cents, at most nine of them.
    fn ticks(&self) -> Vec<f64> {
        let steps = [1, 2, 5, 10, 20, 50].map(f64::from);
        let rough = (self.high - self.low) * 100.0 / 8.0;
        let step = steps
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(50.0);
        let around = (-100..=100).map(|n| f64::from(n) * step / 100.0);
        around.filter(|gain| self.holds(*gain)).collect()
    }
}

/// A drawing under construction.
#[derive(Default)]
struct Canvas {
    body: String,
}

impl Canvas {
    fn text(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        self.body.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>\n",
            escaped(text)
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let path = format!("M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}");
        self.body
            .push_str(&format!("<path d=\"{path}\" class=\"{class}\"/>\n"));
    }

    fn dot(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        let at = format!("cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"");
        self.body
            .push_str(&format!("<circle {at} class=\"{class}\"/>\n"));
    }

    /// A triangle that points out of the scale.
    fn arrow(&mut self, (x, y): (f64, f64), size: f64, class: &str) {
        let inward = if x > WIDTH / 2.0 {
            -2.0 * size
        } else {
            2.0 * size
        };
        let path = format!("M{x:.1} {y:.1}l{inward:.1} {:.1}v{:.1}z", -size, 2.0 * size);
        self.body
            .push_str(&format!("<path d=\"{path}\" class=\"{class}\"/>\n"));
    }
}

/// The drawing of a scenario in a state; `id` is unique in the page, `threshold` that of the record it decides. `None` where no
/// arm could be compared.
pub(super) fn chart(
    analysis: &Analysis<'_>,
    state: State,
    threshold: Option<f64>,
    id: &str,
) -> Option<String> {
    let arms = analysis.run().arms.iter().enumerate();
    let arms = arms.filter(|(_, arm)| arm.role != Role::Incumbent);
    let arms: Vec<(usize, &Arm, Estimate)> = arms
        .filter_map(|(index, arm)| Some((index, arm, analysis.estimate(index, state)?)))
        .collect();
    if arms.is_empty() {
        return None;
    }
    let compared = arms
        .iter()
        .filter(|(_, arm, _)| arm.role.decides() || arm.role == Role::Swapped);
    let ends = compared.flat_map(|(.., estimate)| {
        let interval = estimate.gain_interval();
        [interval.lower, estimate.gain(), interval.upper]
    });
    let x = Scale::new(ends.chain(threshold));
    let bottom = TOP + ROW * arms.len() as f64;
    let mut canvas = Canvas::default();

    for (_, arm, estimate) in &arms {
        if arm.role == Role::IncumbentAgain {
            let noise = estimate.gain_interval();
            let (from, to) = (x.at(noise.lower), x.at(noise.upper));
            let path = format!("M{from:.1} {TOP}H{to:.1}V{bottom}H{from:.1}z");
            canvas
                .body
                .push_str(&format!("<path d=\"{path}\" class=\"band\"/>\n"));
        }
    }
    canvas.line((x.at(0.0), TOP), (x.at(0.0), bottom), "zero");
    if let Some(threshold) = threshold {
        let at = x.at(threshold);
        canvas.line((at, TOP - 6.0), (at, bottom), "threshold");
        // On the side of the line where there is room.
        let (anchor, shift) = if at > WIDTH / 2.0 {
            ("end", 4.0)
        } else {
            ("start", -4.0)
        };
        let free = arms.iter().find(|(_, arm, _)| arm.role == Role::Free);
        let free = free.map_or_else(String::new, |(.., free)| {
            format!("; a map that costs nothing: {}", signed(free.gain()))
        });
        let label = format!("threshold {}{free}", signed(threshold));
        canvas.text((at + shift, TOP - 12.0), anchor, "small", &label);
    }
    let mut description = Vec::new();
    for (row, (index, arm, estimate)) in arms.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let (name, of) = (short(&arm.name), role(arm.role));
        let figures = format!("{} [{}]", signed(estimate.gain()), ends_of(estimate));
        let class = if arm.role == Role::Candidate {
            "candidate"
        } else {
            "other"
        };
        canvas.line((MARGIN, y), (WIDTH - MARGIN, y), "grid");
        canvas.text((MARGIN, y + 13.0), "start", class, &format!("{name}, {of}"));
        canvas.text((WIDTH - MARGIN, y + 13.0), "end", "number", &figures);
        for (number, log) in analysis.sequence(*index, state).values().iter().enumerate() {
            let gain = 1.0 - log.exp();
            // Spread over the height of the row, the same way each time.
            let height = (number * 7 % 11) as f64 * 1.2;
            let at = (x.at(gain), y + 21.0 + height);
            if x.holds(gain) {
                canvas.dot(at, 1.8, "block");
            } else {
                canvas.arrow(at, 2.0, "block");
            }
        }
        interval_of(&mut canvas, &x, y + 27.0, class, estimate);
        description.push(format!("{} ({of}) {figures}", arm.name));
    }
    for tick in x.ticks() {
        canvas.line((x.at(tick), bottom), (x.at(tick), bottom + 4.0), "axis");
        let label = format!("{:.0}", tick * 100.0);
        canvas.text((x.at(tick), bottom + 16.0), "middle", "small", &label);
    }
    canvas.line((MARGIN, bottom), (WIDTH - MARGIN, bottom), "axis");
    let caption = format!(
        "gain on {} in per cent; right saves time",
        short(analysis.incumbent())
    );
    canvas.text((WIDTH / 2.0, bottom + 32.0), "middle", "small", &caption);
    let title = format!("{}, {state}: what each arm gains", analysis.run().scenario);
    Some(format!(
        "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}.</desc>\n{}</svg>\n",
        bottom + 38.0,
        escaped(&title),
        escaped(&description.join("; ")),
        canvas.body
    ))
}

fn interval_of(canvas: &mut Canvas, x: &Scale, y: f64, class: &str, estimate: &Estimate) {
    let at = (x.at(estimate.gain()), y);
    if !x.holds(estimate.gain()) {
        canvas.arrow(at, 5.0, class);
        return;
    }
    let interval = estimate.gain_interval();
    if !interval.is_empty() {
        canvas.line((x.at(interval.lower), y), (x.at(interval.upper), y), class);
    }
    canvas.dot(at, 3.5, class);
}

fn ends_of(estimate: &Estimate) -> String {
    interval(estimate.gain_interval()).replace(" %", "")
}

/// A name that fits; all of it stands in the table below the drawing.
fn short(name: &str) -> String {
    const MOST: usize = 24;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    let kept: String = name.chars().take(MOST - 1).collect();
    format!("{kept}…")
}
