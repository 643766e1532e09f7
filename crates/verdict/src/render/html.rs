//! The page.

use super::markup::{element, escaped, paragraph, table};
use super::{bytes, tables, words};
use crate::decide::Decision;
use crate::schema::Results;

/// One self-contained page: the verdicts first, then what stands behind them.
#[must_use]
pub fn html(results: &Results, decisions: &[Decision]) -> String {
    let mut page = String::from(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Verdict</title>\n<style>\n",
    );
    page.push_str(include_str!("report.css"));
    page.push_str("</style>\n</head>\n<body>\n<main>\n");
    page.push_str(&element("h1", &words::headline(decisions)));
    page.push_str(&paragraph(&words::travel(results)));
    page.push_str(&table("Every candidate", &tables::verdicts(decisions)));
    for (id, title, body) in [
        ("limits", "What this run could not see", limits(results)),
        ("memory", "Memory", memory(results)),
        ("counts", "Exact counts", counts(results)),
        ("repeat", "How to repeat it", repeat(results)),
    ] {
        page.push_str(&format!(
            "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{body}</section>\n"
        ));
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
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
