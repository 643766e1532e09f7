//! The canvas of a drawing, and its scales.

use super::markup::escaped;

/// Units across. A column is between 340 and 560 pixels wide, so a unit is between one and one and a half.
pub(super) const WIDTH: f64 = 360.0;
/// Units left free at either side.
pub(super) const MARGIN: f64 = 10.0;

/// A drawing under construction.
pub(super) struct Canvas {
    body: String,
}

/// How a text stands to its position.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    pub(super) fn new() -> Self {
        let body = String::new();
        Self { body }
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.body.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>\n",
            escaped(text)
        ));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.body.push_str(&format!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" class=\"{class}\"/>\n",
            from.0, from.1, to.0, to.1
        ));
    }

    pub(super) fn rect(&mut self, corner: (f64, f64), size: (f64, f64), class: &str) {
        self.body.push_str(&format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"{class}\"/>\n",
            corner.0,
            corner.1,
            size.0.max(0.0),
            size.1.max(0.0)
        ));
    }

    pub(super) fn dot(&mut self, at: (f64, f64), radius: f64, class: &str) {
        self.body.push_str(&format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" class=\"{class}\"/>\n",
            at.0, at.1
        ));
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let points = points.join(" ");
        self.body.push_str(&format!(
            "<polyline points=\"{points}\" class=\"{class}\"/>\n"
        ));
    }

    /// The drawing with its name and its content in words; `id` is unique in the page.
    pub(super) fn finish(self, height: f64, id: &str, title: &str, description: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n{}</svg>\n",
            escaped(title),
            escaped(description),
            self.body
        )
    }
}

/// From values to units.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    /// `None` where no finite value is there to be shown; on a logarithmic scale, none above 0.
    pub(super) fn new(
        values: impl Iterator<Item = f64>,
        (from, to): (f64, f64),
        log: bool,
    ) -> Option<Self> {
        let place = |value: f64| if log { value.ln() } else { value };
        let shown = values.filter(|value| !log || *value > 0.0).map(place);
        let shown = shown.filter(|value| value.is_finite());
        let bounds = shown.fold(None, |bounds: Option<(f64, f64)>, value| {
            let (low, high) = bounds.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = bounds?;
        // A point needs a width too.
        let pad = ((high - low) * 0.06).max(0.01 * low.abs()).max(0.01);
        Some(Self {
            low: low - pad,
            high: high + pad,
            from,
            to,
            log,
        })
    }

    /// The same scale, from 0 sharp: for values that are never below.
    pub(super) fn upwards(self) -> Self {
        Self { low: 0.0, ..self }
    }

    /// About `count` round steps up from 0.
    pub(super) fn steps(self, count: f64) -> Vec<f64> {
        let rough = self.high / count;
        let decade = 10_f64.powf(rough.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade);
        let step = round
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let steps = (0..20).map(|n| f64::from(n) * step);
        steps.take_while(|value| *value <= self.high).collect()
    }

    /// Whether a value lies on it.
    pub(super) fn holds(self, value: f64) -> bool {
        let place = if self.log { value.ln() } else { value };
        (self.low..=self.high).contains(&place)
    }

    /// Where a value lies; at the edge where it lies outside, or is none.
    pub(super) fn at(self, value: f64) -> f64 {
        let value = if self.log {
            value.max(f64::MIN_POSITIVE).ln()
        } else {
            value
        };
        let value = if value.is_nan() {
            self.low
        } else {
            value.clamp(self.low, self.high)
        };
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Of `candidates`, in order of preference, those that are inside and at least `apart` units from each other.
    pub(super) fn ticks(self, candidates: &[f64], apart: f64) -> Vec<f64> {
        let mut ticks: Vec<f64> = Vec::new();
        for &value in candidates {
            let inside = self.holds(value);
            let free = |other: &f64| (self.at(*other) - self.at(value)).abs() >= apart;
            if inside && ticks.iter().all(free) {
                ticks.push(value);
            }
        }
        ticks
    }
}

/// Round ratios, those that one looks for first.
pub(super) const RATIOS: [f64; 25] = [
    1.0, 0.5, 2.0, 0.9, 1.1, 0.8, 1.2, 0.2, 5.0, 0.1, 10.0, 0.7, 1.5, 0.6, 0.95, 1.05, 3.0, 4.0,
    0.3, 0.4, 20.0, 0.05, 50.0, 0.01, 100.0,
];

/// The names of the styles in which series are told apart: by colour and by dashes.
pub(super) fn series(index: usize) -> String {
    format!("s{}", index % 6)
}

/// A name that fits; all of it stands in the table beside the drawing.
pub(super) fn short(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let kept: String = name.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
