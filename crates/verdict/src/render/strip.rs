//! The strip plot: every block of every arm as a dot, so that a reader sees what the interval was made of.

use super::chart::{Anchor, Canvas, MARGIN, RATIOS, Scale, WIDTH, short};
use super::view::{ArmView, RunView};

const ROW: f64 = 40.0;
const TOP: f64 = 6.0;

/// `None` where no block gave a pair.
pub(super) fn strip(run: &RunView<'_>, id: &str) -> Option<String> {
    let with_pairs = |arm: &&ArmView<'_>| arm.estimate.is_some();
    let arms: Vec<&ArmView<'_>> = run.arms.iter().filter(with_pairs).collect();
    let pairs: Vec<Vec<(u32, f64)>> = arms
        .iter()
        .map(|arm| run.analysis.pairs(arm.index))
        .collect();
    let ratios = pairs.iter().flatten().map(|(_, log)| log.exp());
    let x = Scale::new(ratios.chain([1.0]), (MARGIN, WIDTH - MARGIN), true)?;
    let bottom = TOP + ROW * arms.len() as f64;
    let mut canvas = Canvas::new();
    canvas.line((x.at(1.0), TOP), (x.at(1.0), bottom), "one");
    for (row, (arm, pairs)) in arms.iter().zip(&pairs).enumerate() {
        let y = TOP + ROW * row as f64;
        canvas.line((MARGIN, y), (WIDTH - MARGIN, y), "grid");
        canvas.text(
            MARGIN,
            y + 12.0,
            Anchor::Start,
            "name",
            &short(&arm.arm.name, 40),
        );
        for (number, log) in pairs {
            // Spread over the height of the row, by the number of the block: no two runs of the renderer differ.
            let height = f64::from(number % 11 * 7 % 11) * 1.5;
            canvas.dot((x.at(log.exp()), y + 19.0 + height), 2.2, "block");
        }
        if let Some(estimate) = &arm.estimate {
            let at = x.at(estimate.ratio());
            canvas.line((at, y + 16.0), (at, y + 37.0), "median");
        }
    }
    for tick in x.ticks(&RATIOS, 38.0) {
        canvas.line((x.at(tick), bottom), (x.at(tick), bottom + 4.0), "axis");
        canvas.text(
            x.at(tick),
            bottom + 16.0,
            Anchor::Middle,
            "small",
            &tick.to_string(),
        );
    }
    canvas.line((MARGIN, bottom), (WIDTH - MARGIN, bottom), "axis");
    let caption = "a dot a block; the upright stroke is the median";
    canvas.text(WIDTH / 2.0, bottom + 32.0, Anchor::Middle, "small", caption);
    let title = format!("{}: every block of every arm", run.name());
    let description = format!(
        "For each arm a row with a dot for each block, at its time over that of {} in the same block. The figures are in \
         the raw table.",
        run.incumbent()
    );
    Some(canvas.finish(bottom + 38.0, id, &title, &description))
}
