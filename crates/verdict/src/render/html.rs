//! The page.

use super::chart::chart;
use super::markup::{element, escaped, paragraph, prose, table};
use super::{tables, words};
use crate::analysis::Analysis;
use crate::decide::{Answered, CandidateVerdict, Decision, Outcome, Ruling};
use crate::schema::{Results, ScenarioRun};
use crate::states::Boundary;
use crate::text::{count, percent};

/// One self-contained page. Its first screen has the verdicts, what the run could not see, and how
/// to repeat it; below it, record by record, what they rest on.
#[must_use]
pub fn html(results: &Results, decisions: &[Decision]) -> String {
    let headline = words::headline(decisions);
    let (cores, model) = (results.machine.cores, &results.machine.model);
    let (travel, versions) = (words::travel(results), words::versions(results));
    let valid =
        format!("{travel} Valid for that, for {cores} cores of {model}, and for {versions}.");
    let verdicts = tables::verdicts(decisions);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n{}\n<style>\n{}</style>\n</head>\n\
         <body>\n<main>\n{}\n{}{}",
        element("title", &headline),
        include_str!("report.css"),
        element("h1", &headline),
        paragraph(&valid),
        table(
            "Gains on the incumbent: the share of its time that is saved",
            &verdicts
        )
    );
    let (command, seed) = (element("code", &results.command), results.seed);
    let limits = [words::limits(results), results.notes.clone()].concat();
    let mut section = |id: &str, title: &str, body: &str| {
        let title = escaped(title);
        page.push_str(&format!(
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{body}</section>\n"
        ));
    };
    section("limits", "What this run could not see", &list(&limits));
    section(
        "repeat",
        "How to repeat it",
        &format!("<p>{command} (seed {seed})</p>\n"),
    );
    let mut others = Vec::from_iter(results.runs.iter().enumerate());
    for (index, decision) in decisions.iter().enumerate() {
        let gating = decision.record.gating();
        others.retain(|(_, run)| !gating.contains(&run.scenario.as_str()));
        let title = format!("ADR-{}: {}", decision.record.number, decision.record.title);
        let body = record(results, decision);
        section(&format!("record-{index}"), &title, &body);
    }
    let others = others
        .into_iter()
        .map(|(id, run)| scenario(results, run, None, id));
    let others: String = others.collect();
    if !others.is_empty() {
        let others = folded("Show them", &others);
        section("others", "Scenarios that decide nothing", &others);
    }
    section("about", "Where and how it ran", &about(results));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn folded(summary: &str, body: &str) -> String {
    let summary = element("summary", summary);
    format!("<details>{summary}\n{body}</details>\n")
}

fn list(sentences: &[String]) -> String {
    let item = |each: &String| format!("<li>{}</li>\n", prose(each));
    format!(
        "<ul>\n{}</ul>\n",
        sentences.iter().map(item).collect::<String>()
    )
}

/// A record: a card for each candidate, and the drawings of its gating scenarios.
fn record(results: &Results, decision: &Decision) -> String {
    let cards: String = decision.candidates.iter().map(card).collect();
    let watched: String = decision.watched.iter().map(criterion).collect();
    let checks = words::checks(decision).into_iter().map(|check| {
        let holds = if check.holds { "holds" } else { "not met" };
        format!("{}: {holds}", check.sentence())
    });
    let mut out = format!("<div class=\"cards\">\n{cards}</div>\n");
    if !watched.is_empty() {
        out.push_str(&format!("<h3>Watched</h3>\n<dl>\n{watched}</dl>\n"));
    }
    out.push_str(&paragraph(&words::preconditions(decision)));
    let checks = list(&checks.collect::<Vec<_>>());
    out.push_str(&folded("Every precondition", &checks));
    let threshold = decision.record.bottleneck().map(|own| own.threshold);
    out.push_str("<div class=\"pair\">\n");
    for name in decision.record.gating() {
        let mut runs = results.runs.iter().enumerate();
        if let Some((id, run)) = runs.find(|(_, run)| run.scenario == name) {
            out.push_str(&scenario(results, run, threshold, id));
        }
    }
    out + "</div>\n"
}

/// Folded where the decision stands.
fn card(verdict: &CandidateVerdict) -> String {
    let (class, open) = match verdict.ruling {
        Ruling::Says(Outcome::Keep) => ("keep", ""),
        Ruling::Says(Outcome::Revisit) => ("revisit", " open=\"\""),
        Ruling::Says(Outcome::Inconclusive) => ("inconclusive", " open=\"\""),
        Ruling::WouldSay(_) => ("quick", ""),
    };
    let name = escaped(&verdict.candidate);
    let word = element("strong", &tables::verdict(verdict));
    let why = paragraph(&words::sentence(&verdict.why));
    let criteria: String = verdict.criteria.iter().map(criterion).collect();
    format!(
        "<details class=\"card {class}\"{open}><summary>{name} {word}</summary>\n\
         {why}<dl>\n{criteria}</dl>\n</details>\n"
    )
}

fn criterion(answered: &Answered) -> String {
    let (label, answer) = (escaped(&answered.label), answered.answer);
    let evidence = prose(&words::sentence(&answered.evidence));
    format!("<dt>{label} <span class=\"answer\">{answer}</span></dt><dd>{evidence}</dd>\n")
}

/// A scenario: in each state it was seen in, the drawing and the figures.
fn scenario(results: &Results, run: &ScenarioRun, threshold: Option<f64>, id: usize) -> String {
    let analysis = Analysis::new(run, Boundary::of(&results.pilots));
    let more = ", more than cores: preemption, not scaling";
    let over = if run.oversubscribed { more } else { "" };
    let threads = count(run.threads, "thread");
    let about = format!("{} {threads}{over}.", words::sentence(&run.what));
    let (mut drawings, mut figures) = (String::new(), String::new());
    for state in analysis.states() {
        let (slices, dirty) = analysis.slices(state);
        let dirty = percent(dirty as f64 / slices.max(1) as f64);
        let blocks = count(analysis.blocks(state).len(), "block");
        let caption = format!("{state}: {blocks}, {dirty} of the slices that decide are dirty");
        let caption = element("figcaption", &caption);
        let drawing = chart(&analysis, state, threshold, &format!("chart-{id}-{state}"));
        let drawing = drawing.unwrap_or_else(|| "<p>No block gave a pair.</p>\n".to_owned());
        drawings.push_str(&format!("<figure>{caption}{drawing}</figure>\n"));
        let (name, incumbent) = (&run.scenario, analysis.incumbent());
        let caption = format!("{name}, {state}: gains on {incumbent}");
        figures.push_str(&table(&caption, &tables::arms(&analysis, state)));
    }
    let (changed, crashed) = (count(analysis.changed, "block"), analysis.crashed.len());
    let void =
        format!("Void: {changed} that changed the state, {crashed} in which an arm crashed.");
    let figures = folded("The figures", &(figures + &paragraph(&void)));
    let (name, about) = (element("h3", &run.scenario), paragraph(&about));
    format!("<div>{name}{about}{drawings}{figures}</div>\n")
}

fn about(results: &Results) -> String {
    let mut facts = String::new();
    for (label, value) in words::circumstances(results) {
        facts.push_str(&format!("<dt>{label}</dt><dd>{}</dd>\n", escaped(&value)));
    }
    format!("<dl class=\"facts\">\n{facts}</dl>\n")
}
