//! The page.

use super::markup::{element, escaped, paragraph, prose, table};
use super::view::{RunView, View};
use super::{bytes, forest, latency, strip, tables, words};
use crate::decide::{Answered, Decision, Outcome, Ruling};
use crate::evidence::Answer;
use crate::schema::Results;
use crate::text::{count, percent};

/// One self-contained page: verdicts first, then the drawings, what the machine cannot show, the raw figures, and how to
/// repeat it. Bootstraps every arm of every run; a second or so for a full run.
#[must_use]
pub fn html(results: &Results, decisions: &[Decision]) -> String {
    let view = View::new(results, decisions);
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Verdict</title>\n<style>\n",
    );
    page.push_str(include_str!("report.css"));
    page.push_str("</style>\n</head>\n<body>\n<main>\n<h1>Verdict</h1>\n");
    page.push_str(&paragraph(&summary(results)));
    for decision in view.decisions {
        page.push_str(&verdict(decision));
    }
    for (id, title, body) in [
        ("ratios", "Every arm against the incumbent", ratios(&view)),
        ("latency", "Latency", latency_part(results)),
        ("memory", "Memory", memory(results)),
        ("counts", "Exact counts", counts(results)),
        ("limits", "What this machine cannot show", limits(results)),
        ("raw", "The raw figures", raw(&view)),
        ("repeat", "How to repeat it", repeat(results)),
    ] {
        page.push_str(&format!(
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{body}</section>\n"
        ));
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn summary(results: &Results) -> String {
    format!(
        "{} on {}, {}, at revision {}.",
        results.started,
        results.machine.model,
        count(results.machine.cores, "core"),
        results.revision
    )
}

fn verdict(decision: &Decision) -> String {
    let record = &decision.record;
    let id = format!("record-{}", slug(&record.number));
    let mut out = format!(
        "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n<div class=\"cards\">\n",
        escaped(&format!("ADR-{}: {}", record.number, record.title))
    );
    for each in &decision.candidates {
        let (class, word) = match each.ruling {
            Ruling::Says(outcome) => (class(outcome), outcome.to_string()),
            Ruling::WouldSay(outcome) => ("quick", format!("no verdict, would say {outcome}")),
        };
        out.push_str(&format!(
            "<article class=\"{class}\">\n<h3>{} <strong>{word}</strong></h3>\n{}<dl>\n",
            escaped(&each.candidate),
            paragraph(&words::sentence(&each.why))
        ));
        for answered in &each.criteria {
            out.push_str(&criterion(answered));
        }
        out.push_str("</dl>\n</article>\n");
    }
    out.push_str("</div>\n");
    if !decision.watched.is_empty() {
        out.push_str("<h3>Watched</h3>\n<dl>\n");
        for watched in &decision.watched {
            out.push_str(&criterion(watched));
        }
        out.push_str("</dl>\n");
    }
    out.push_str(&paragraph(&words::preconditions(decision)));
    if !decision.checks.is_empty() {
        out.push_str("\n<details><summary>Every precondition</summary>\n");
        out.push_str(&table(
            &format!("Preconditions of ADR-{}", record.number),
            &tables::checks(decision),
        ));
        out.push_str("</details>\n");
    }
    out.push_str("</section>\n");
    out
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Keep => "keep",
        Outcome::Revisit => "revisit",
        Outcome::Inconclusive => "inconclusive",
    }
}

fn criterion(answered: &Answered) -> String {
    let answer = match answered.answer {
        Answer::Yes => "yes",
        Answer::No => "no",
        Answer::Open => "open",
        Answer::NotEvaluated => "not evaluated",
    };
    format!(
        "<dt>{} <span class=\"answer\">{answer}</span></dt><dd>{}</dd>\n",
        escaped(&answered.label),
        prose(&words::sentence(&answered.evidence))
    )
}

/// The drawings of the runs that decide; the others follow, folded.
fn ratios(view: &View<'_>) -> String {
    let mut out = String::from(
        "<p>Each dot is the median over blocks of an arm's time per operation over the incumbent's, with the wider of two \
         95 % intervals (bootstrap over blocks, exact order statistics). The shaded band is the incumbent against itself: \
         what lies inside it is noise.</p>\n",
    );
    let drawn = |run: &RunView<'_>, index: usize| {
        let forest = forest::forest(run, &format!("forest-{index}"));
        let strip = strip::strip(run, &format!("strip-{index}"));
        match forest {
            Some(forest) => format!(
                "<div class=\"pair\"><figure>{}{forest}</figure>\n<figure>{}{}</figure></div>\n",
                element("figcaption", "Ratios with intervals"),
                element("figcaption", "All blocks"),
                strip.unwrap_or_default()
            ),
            None => "<p>No block gave a pair.</p>\n".to_owned(),
        }
    };
    let mut others = String::new();
    for (index, run) in view.runs.iter().enumerate() {
        let mut part = element("h3", &run.name());
        part.push_str(&paragraph(&about(run)));
        part.push_str(&drawn(run, index));
        if run.decides {
            out.push_str(&part);
        } else {
            others.push_str(&part);
        }
    }
    if view.runs.is_empty() {
        out.push_str("<p>No scenario was run.</p>\n");
    }
    if !others.is_empty() {
        out.push_str(&format!(
            "<details><summary>Scenarios that decide nothing</summary>\n{others}</details>\n"
        ));
    }
    out
}

fn about(run: &RunView<'_>) -> String {
    let (slices, dirty) = run.analysis.slices();
    let of = run.run();
    let mut text = format!(
        "{} {}, {}, {} void; {} of {} dirty.",
        words::sentence(&of.what),
        count(of.threads, "thread"),
        count(of.blocks.len(), "block"),
        run.analysis.void_blocks(),
        if slices == 0 {
            "none".to_owned()
        } else {
            percent(dirty as f64 / slices as f64)
        },
        count(slices, "slice")
    );
    if of.oversubscribed {
        text.push_str(" More threads than cores: this shows preemption, not scaling.");
    }
    text
}

fn latency_part(results: &Results) -> String {
    let drawings = latency::latency(results);
    if drawings.is_empty() {
        return "<p>No latency was measured.</p>\n".to_owned();
    }
    format!(
        "<p>From an open loop, counted from the intended start of each operation, so that a stall is paid by all that it \
         delays. Where a load says <em>noisy</em>, the machine kept a thread from running for longer than a clean slice \
         may: read those lines as upper bounds. Each line is one run of two seconds: a stall of the whole machine, which no \
         thread of it can see, lifts all above its percentile. No verdict asks for latency.</p>\n<div class=\"pair\">{}</div>\n{}",
        drawings.concat(),
        table("Latency by percentile", &tables::latency(results))
    )
}

fn memory(results: &Results) -> String {
    if results.bytes.is_empty() {
        return "<p>No memory was measured.</p>\n".to_owned();
    }
    let drawing = bytes::bytes(results).unwrap_or_default();
    format!(
        "<div class=\"pair\">{drawing}</div>\n{}",
        table(
            "Bytes per entry; after a drain, per entry that was there before",
            &tables::bytes(results)
        )
    )
}

fn counts(results: &Results) -> String {
    let part = |caption: &str, figures: Result<tables::Table, String>| match figures {
        Ok(figures) => table(caption, &figures),
        Err(why) => paragraph(&why),
    };
    part("Allocations", tables::allocations(results))
        + &part("Instructions", tables::instructions(results))
}

fn limits(results: &Results) -> String {
    let mut out = String::from("<ul>\n");
    for sentence in words::limits(results).iter().chain(&results.notes) {
        out.push_str(&element("li", sentence));
    }
    out.push_str("</ul>\n");
    out
}

fn raw(view: &View<'_>) -> String {
    let mut out = String::new();
    for run in &view.runs {
        let name = run.name();
        out.push_str(&table(
            &format!("{name}: gains against {}", run.incumbent()),
            &tables::arms(run),
        ));
        out.push_str(&format!(
            "<details>{}\n",
            element("summary", &format!("{name}: every block"))
        ));
        let caption = format!("{name}: nanoseconds per operation in each block");
        out.push_str(&table(&caption, &tables::blocks(run)));
        out.push_str("</details>\n");
    }
    out
}

fn repeat(results: &Results) -> String {
    let mut out = String::from("<dl class=\"facts\">\n");
    for (label, value) in words::circumstances(results) {
        let value = if label == "Command" {
            element("code", &value)
        } else {
            escaped(&value)
        };
        out.push_str(&format!("<dt>{label}</dt><dd>{value}</dd>\n"));
    }
    out.push_str("</dl>\n");
    out
}

/// For an id: letters, digits and dashes, whatever the text.
fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    text.chars().map(plain).collect()
}
