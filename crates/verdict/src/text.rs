//! Numbers and names, as sentences show them.

use std::fmt::Display;

use crate::stats::Interval;

/// A share as a percentage with one decimal, or two where one would show nothing of it.
pub(crate) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return if share < 0.0 { "-∞ %" } else { "∞ %" }.to_owned();
    }
    let value = share * 100.0;
    let text = if value != 0.0 && value.abs() < 0.095 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    };
    let text = if text
        .trim_start_matches('-')
        .chars()
        .all(|c| c == '0' || c == '.')
    {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    };
    format!("{text} %")
}

/// `1.2 % to 3.4 %`, with a sign where the other end has one.
pub(crate) fn interval(interval: Interval) -> String {
    if !interval.lower.is_finite() || !interval.upper.is_finite() {
        return "not bounded yet".to_owned();
    }
    if interval.is_empty() {
        return "the blocks contradict each other".to_owned();
    }
    format!("{} to {}", percent(interval.lower), percent(interval.upper))
}

/// `1 block`, `30 blocks`, `1,800 slices`.
pub(crate) fn count(number: impl Display, what: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{} {what}{plural}", grouped(&number))
}

/// Digits in groups of three.
pub(crate) fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in the unit that reads best.
pub(crate) fn nanos(value: f64) -> String {
    match value {
        v if v < 100.0 => format!("{v:.1} ns"),
        v if v < 10_000.0 => format!("{v:.0} ns"),
        v if v < 1e7 => format!("{:.1} µs", v / 1e3),
        v if v < 1e10 => format!("{:.1} ms", v / 1e6),
        v => format!("{:.1} s", v / 1e9),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<S: AsRef<str>>(items: &[S]) -> String {
    let texts: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match texts.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Text from outside on one line: control characters, which could move a cursor or forge a line, become spaces.
pub(crate) fn one_line(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
}
