//! Numbers and names, as sentences show them.

use std::fmt::Display;

use crate::stats::Interval;

/// A share as a percentage with one decimal.
pub(crate) fn percent(share: f64) -> String {
    if share.is_infinite() {
        return if share < 0.0 { "-∞ %" } else { "∞ %" }.to_owned();
    }
    // Added to nothing, a negative nothing is none.
    format!("{:.1} %", (share * 1000.0).round() / 10.0 + 0.0)
}

/// A gain as a percentage with its sign, so that a saving is not taken for a cost.
pub(crate) fn signed(gain: f64) -> String {
    let plus = if gain >= 0.0005 { "+" } else { "" };
    format!("{plus}{}", percent(gain))
}

/// `1.2 to 3.4 %`.
pub(crate) fn interval(interval: Interval) -> String {
    if interval.is_empty() {
        "the blocks contradict each other".to_owned()
    } else if interval.lower.is_infinite() || interval.upper.is_infinite() {
        "not bounded yet".to_owned()
    } else {
        let (lower, upper) = (percent(interval.lower), percent(interval.upper));
        format!("{} to {upper}", lower.trim_end_matches(" %"))
    }
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

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<S: AsRef<str>>(items: &[S]) -> String {
    let texts: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    match texts.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Text from outside on one line: control characters, which could move a cursor or forge a line,
/// become spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
