//! The forest plot: each arm's time over the incumbent's, with its interval, the threshold and the A/A' band.
//!
//! # Why
//!
//! The scale is that of what is compared: candidates, swapped maps, controls and threshold. A baseline that takes twice as long would
//! press all of them into a corner, so that what lies beyond the scale is an arrow at its edge, with its figures beside it.

use super::chart::{Anchor, Canvas, MARGIN, RATIOS, Scale, WIDTH, short};
use super::view::{ArmView, RunView, role};
use crate::analysis::Estimate;
use crate::schema::Role;
use crate::text::percent;

const ROW: f64 = 36.0;
const TOP: f64 = 24.0;

/// `None` where no arm could be compared.
pub(super) fn forest(run: &RunView<'_>, id: &str) -> Option<String> {
    let estimates = run.arms.iter();
    let arms: Vec<(&ArmView<'_>, Estimate)> = estimates
        .filter_map(|arm| Some((arm, arm.estimate?)))
        .collect();
    if arms.is_empty() {
        return None;
    }
    let bar = run.threshold.map(|threshold| 1.0 - threshold);
    let ends = arms.iter().filter(|(arm, _)| compared(arm.arm.role));
    let ends = ends.flat_map(|(_, estimate)| {
        let interval = estimate.ratio_interval();
        [interval.lower, estimate.ratio(), interval.upper]
    });
    let around = [0.95, 1.05];
    let values = ends.chain(around).chain(bar);
    let x = Scale::new(values, (MARGIN, WIDTH - MARGIN), true)?;
    let bottom = TOP + ROW * arms.len() as f64;
    let mut canvas = Canvas::new();

    if let Some(aa) = run.aa() {
        let band = aa.ratio_interval();
        let (from, to) = (x.at(band.lower), x.at(band.upper));
        canvas.rect((from, TOP), (to - from, bottom - TOP), "band");
    }
    for row in 0..arms.len() {
        let y = TOP + ROW * row as f64;
        canvas.line((MARGIN, y), (WIDTH - MARGIN, y), "grid");
    }
    canvas.line((x.at(1.0), TOP), (x.at(1.0), bottom), "one");
    if let Some(bar) = bar {
        let at = x.at(bar);
        canvas.line((at, TOP - 4.0), (at, bottom), "threshold");
        // On the side of the line where there is room.
        let (anchor, shift) = if at > WIDTH / 2.0 {
            (Anchor::End, -4.0)
        } else {
            (Anchor::Start, 4.0)
        };
        let label = format!("threshold {bar:.2}");
        canvas.text(at + shift, 15.0, anchor, "small", &label);
    }
    for tick in x.ticks(&RATIOS, 38.0) {
        let at = x.at(tick);
        canvas.line((at, bottom), (at, bottom + 4.0), "axis");
        canvas.text(
            at,
            bottom + 16.0,
            Anchor::Middle,
            "small",
            &tick.to_string(),
        );
    }
    canvas.line((MARGIN, bottom), (WIDTH - MARGIN, bottom), "axis");
    let incumbent = short(run.incumbent(), 16);
    let caption = format!("time per operation, {incumbent} = 1; left is faster");
    canvas.text(
        WIDTH / 2.0,
        bottom + 32.0,
        Anchor::Middle,
        "small",
        &caption,
    );

    let mut description = Vec::new();
    for (row, (arm, estimate)) in arms.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let figures = figures(estimate);
        let strong = if arm.arm.role == Role::Candidate {
            "strong"
        } else {
            "name"
        };
        let name = short(&arm.arm.name, 30);
        canvas.text(MARGIN, y + 14.0, Anchor::Start, strong, &name);
        canvas.text(WIDTH - MARGIN, y + 14.0, Anchor::End, "number", &figures);
        whisker(&mut canvas, x, y + 25.0, arm.arm.role, estimate);
        description.push(format!(
            "{} ({}) {figures}",
            arm.arm.name,
            role(arm.arm.role)
        ));
    }
    let threshold = run.threshold.map_or_else(String::new, |threshold| {
        let share = percent(threshold);
        format!(" A candidate is above the threshold where it saves more than {share}.")
    });
    let title = format!(
        "{}: time of each arm over that of {}",
        run.name(),
        run.incumbent()
    );
    let description = format!(
        "Ratio with 95 % interval: {}.{threshold}",
        description.join("; ")
    );
    Some(canvas.finish(bottom + 38.0, id, &title, &description))
}

fn compared(role: Role) -> bool {
    matches!(
        role,
        Role::Candidate | Role::Swapped | Role::IncumbentAgain | Role::Planted { .. }
    )
}

fn figures(estimate: &Estimate) -> String {
    let interval = estimate.ratio_interval();
    format!(
        "{:.3} [{:.3}, {:.3}]",
        estimate.ratio(),
        interval.lower,
        interval.upper
    )
}

fn whisker(canvas: &mut Canvas, x: Scale, y: f64, role: Role, estimate: &Estimate) {
    let class = if role == Role::Candidate {
        "candidate"
    } else {
        "other"
    };
    let at = x.at(estimate.ratio());
    if !x.holds(estimate.ratio()) {
        let inward = if at > WIDTH / 2.0 { -8.0 } else { 8.0 };
        let arrow = [
            (at, y),
            (at + inward, y - 5.0),
            (at + inward, y + 5.0),
            (at, y),
        ];
        canvas.path(&arrow, class);
        return;
    }
    let interval = estimate.ratio_interval();
    let (from, to) = (x.at(interval.lower), x.at(interval.upper));
    let line = format!("{class} whisker");
    canvas.line((from, y), (to, y), &line);
    for end in [from, to] {
        canvas.line((end, y - 4.0), (end, y + 4.0), &line);
    }
    canvas.dot((at, y), 3.5, class);
}
