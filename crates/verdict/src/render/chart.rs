//! The drawing of a place: what each arm gains on the incumbent, with its interval, its blocks, the
//! threshold and the noise.
//!
//! The scale is that of what is compared, and ends at a loss of a half. What lies beyond is an
//! arrow at the edge, with its figures beside it: a baseline that takes four times as long would
//! press all others into a corner.

use super::markup::escaped;
use super::tables::role;
use crate::analysis::{Analysis, Estimate};
use crate::schema::{Arm, Role};
use crate::states::State;
use crate::stats::Interval;
use crate::text::{percent, signed};

/// Units across. A column is between 340 and 560 pixels wide, so that text keeps its size from a
/// phone to a desk.
const WIDTH: f64 = 360.0;
const MARGIN: f64 = 10.0;
const ROW: f64 = 47.0;
const TOP: f64 = 34.0;

/// From gains to units.
struct Scale(Interval);

impl Scale {
    fn new(values: impl Iterator<Item = f64>) -> Self {
        let shown = values
            .filter(|value| value.is_finite())
            .map(|value| value.clamp(-0.5, 0.9));
        let (lower, upper) = shown.fold((-0.02_f64, 0.02_f64), |(l, u), v| (l.min(v), u.max(v)));
        let pad = (upper - lower) * 0.06;
        let (lower, upper) = (lower - pad, upper + pad);
        Self(Interval { lower, upper })
    }

    /// At the edge where it lies beyond.
    fn at(&self, gain: f64) -> f64 {
        let Interval { lower, upper } = self.0;
        let share = (gain.clamp(lower, upper) - lower) / (upper - lower);
        MARGIN + share * (WIDTH - 2.0 * MARGIN)
    }

    /// Whole per cents, at most nine of them.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let rough = (self.0.upper - self.0.lower) * 100.0 / 8.0;
        let mut steps = [1, 2, 5, 10, 20].map(f64::from).into_iter();
        let step = steps.find(|step| *step >= rough).unwrap_or(50.0);
        let around = (-100..=100).map(move |n| f64::from(n) * step / 100.0);
        around.filter(|gain| self.0.contains(*gain))
    }
}

/// A drawing under construction.
#[derive(Default)]
struct Canvas(String);

impl Canvas {
    fn text(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        let (at, text) = (format!("x=\"{x:.1}\" y=\"{y:.1}\""), escaped(text));
        let element =
            format!("<text {at} text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>\n");
        self.0.push_str(&element);
    }

    fn path(&mut self, path: &str, class: &str) {
        self.0
            .push_str(&format!("<path d=\"{path}\" class=\"{class}\"/>\n"));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        self.path(&format!("M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}"), class);
    }

    /// A dot at a gain; where that is beyond the scale, a triangle that points out of it.
    fn dot(&mut self, scale: &Scale, gain: f64, y: f64, radius: f64, class: &str) {
        let x = scale.at(gain);
        if scale.0.contains(gain) {
            let at = format!("cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"");
            self.0
                .push_str(&format!("<circle {at} class=\"{class}\"/>\n"));
        } else {
            let (inward, height) = (3.0 * radius.copysign(-gain), 3.0 * radius);
            let up = -height / 2.0;
            self.path(
                &format!("M{x:.1} {y:.1}l{inward:.1} {up:.1}v{height:.1}z"),
                class,
            );
        }
    }
}

/// The drawing of a scenario in a state; `id` is unique in the page, `threshold` that of the record
/// it decides. `None` where no arm could be compared.
pub(super) fn chart(
    analysis: &Analysis<'_>,
    state: State,
    threshold: Option<f64>,
    id: &str,
) -> Option<String> {
    let run = analysis.run;
    let other = |(_, arm): &(usize, &Arm)| arm.role != Role::Incumbent;
    let arms = run.arms.iter().enumerate().filter(other);
    let arms = arms.filter_map(|(i, arm)| Some((i, arm, analysis.estimate(i, state)?)));
    let arms: Vec<(usize, &Arm, Estimate)> = arms.collect();
    let of = |role: Role| Some(&arms.iter().find(|(_, arm, _)| arm.role == role)?.2);
    let mut compared = Vec::from_iter(&arms);
    compared.retain(|(_, arm, _)| arm.role.decides() || arm.role == Role::Swapped);
    let ends = compared.iter().map(|(.., estimate)| estimate);
    let ends = ends.flat_map(|own| [own.interval.lower, own.gain, own.interval.upper]);
    let x = Scale::new(ends.chain(threshold));
    let bottom = TOP + ROW * arms.len() as f64;
    let mut canvas = Canvas::default();
    if let Some(noise) = of(Role::IncumbentAgain).map(|again| again.interval) {
        let (from, to) = (x.at(noise.lower), x.at(noise.upper));
        let path = format!("M{from:.1} {TOP}H{to:.1}V{bottom}H{from:.1}z");
        canvas.path(&path, "band");
        let label = "band: the incumbent against itself, which is noise";
        canvas.text((MARGIN, TOP - 7.0), "start", "small", label);
    }
    canvas.line((x.at(0.0), TOP), (x.at(0.0), bottom), "zero");
    if let Some(threshold) = threshold {
        let at = x.at(threshold);
        canvas.line((at, TOP), (at, bottom), "threshold");
        let mut label = format!("dashed: threshold {}", signed(threshold));
        if let Some(free) = of(Role::Free) {
            label.push_str(&format!("; no map gains more than {}", percent(free.gain)));
        }
        canvas.text((MARGIN, TOP - 20.0), "start", "small", &label);
    }
    let mut description = Vec::new();
    for (row, (index, arm, estimate)) in arms.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let (name, of, figures) = (short(&arm.name), role(arm.role), estimate.to_string());
        let candidate = arm.role == Role::Candidate;
        let class = if candidate { "candidate" } else { "other" };
        canvas.line((MARGIN, y), (WIDTH - MARGIN, y), "grid");
        canvas.text((MARGIN, y + 12.0), "start", class, &name);
        canvas.text((MARGIN, y + 24.0), "start", "small", of);
        canvas.text((WIDTH - MARGIN, y + 12.0), "end", "number", &figures);
        for (number, gain) in analysis.sequence(*index, state).values.iter().enumerate() {
            // Spread over the height of the row, the same way each time.
            let height = (number * 7 % 11) as f64 * 1.2;
            canvas.dot(&x, *gain, y + 29.0 + height, 1.8, "block");
        }
        let Interval { lower, upper } = estimate.interval;
        canvas.line((x.at(lower), y + 35.0), (x.at(upper), y + 35.0), class);
        canvas.dot(&x, estimate.gain, y + 35.0, 3.5, class);
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
    let title = escaped(&format!("{}, {state}: what each arm gains", run.scenario));
    let (description, height) = (escaped(&description.join("; ")), bottom + 38.0);
    let drawing = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}.</desc>\n{}</svg>\n",
        canvas.0
    );
    (!arms.is_empty()).then_some(drawing)
}

/// A name that fits; all of it stands in the table below the drawing.
fn short(name: &str) -> String {
    const MOST: usize = 24;
    let kept = name.chars().take(MOST).collect();
    if name.chars().count() > MOST {
        kept + "…"
    } else {
        kept
    }
}
