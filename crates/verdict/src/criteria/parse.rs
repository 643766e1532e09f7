//! From the text of a criteria file to a [`Record`]: serde reads it, and what serde cannot know is
//! checked here.

use semver::Version;
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

use super::{Bottleneck, Criterion, Known, Record};

/// A criteria file that is not accepted: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {what}")]
#[non_exhaustive]
pub struct CriteriaError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, counted from 1; of what serde does not check, where its table begins.
    pub line: usize,
    /// What is wrong there, and the way out.
    pub what: String,
}

impl Record {
    /// Reads a criteria file; `file` is what errors call it, `known` what the caller can measure.
    ///
    /// # Errors
    ///
    /// [`CriteriaError`] with the first thing that is wrong.
    pub fn parse(file: &str, text: &str, known: Known<'_>) -> Result<Self, CriteriaError> {
        let error = |at: usize, what: String| CriteriaError {
            file: file.to_owned(),
            line: line_at(text, at),
            what,
        };
        let in_table = |table: String, fault: String| {
            let at = text.find(&table).unwrap_or_default();
            error(at, format!("{table}: {fault}"))
        };
        let record: Self = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            error(at, e.message().to_owned())
        })?;
        for (name, criterion) in &record.criteria {
            let checked = criterion.check(&record, known);
            checked.map_err(|fault| in_table(format!("[criterion.{name}]"), fault))?;
        }
        let checked = record.check();
        checked.map_err(|fault| in_table("[rule]".to_owned(), fault))?;
        Ok(record)
    }

    /// The two lists name every criterion once, and there is at most one bottleneck.
    fn check(&self) -> Result<(), String> {
        let criteria: Vec<&str> = self.criteria.keys().map(String::as_str).collect();
        let both = [self.rule.revisit.as_slice(), &self.rule.watch].concat();
        named("criterion", &both, &criteria)?;
        let nothing = || "`revisit` names nothing; name at least one criterion".to_owned();
        ensure(!self.rule.revisit.is_empty(), nothing)?;
        for (name, criterion) in &self.criteria {
            ensure(both.contains(name), || {
                format!("criterion {name:?} is in neither list; add it to `revisit` or `watch`")
            })?;
            use Criterion::{Bottleneck, CrateVersion};
            let watchable = !matches!(criterion, Bottleneck(_) | CrateVersion { .. });
            ensure(watchable || self.rule.revisit.contains(name), || {
                format!("{name:?} is answered for each candidate; move it to `revisit`")
            })?;
            if let (Bottleneck(own), Some(first)) = (criterion, self.bottleneck()) {
                ensure(std::ptr::eq(first, own), || {
                    format!("{name:?} is a second bottleneck; a record asks one such question")
                })?;
            }
        }
        Ok(())
    }
}

impl Criterion {
    fn check(&self, record: &Record, known: Known<'_>) -> Result<(), String> {
        match self {
            Self::Bottleneck(bottleneck) => bottleneck.check(record, known),
            Self::ShardSkew { at_most } => ensure(at_most.is_finite() && *at_most >= 1.0, || {
                format!("`at-most` is {at_most}, and has to be at least 1")
            }),
            Self::CrateVersion { .. } | Self::GaugeAgainstCeiling { .. } => Ok(()),
        }
    }
}

impl Bottleneck {
    fn check(&self, record: &Record, known: Known<'_>) -> Result<(), String> {
        let candidates: Vec<&str> = record.candidates.keys().map(String::as_str).collect();
        let (share, incumbent) = (self.threshold, &self.incumbent);
        ensure(share > 0.0 && share < 1.0, || {
            format!("the threshold {share} is not between 0 and 1; a tenth of the time is 0.10")
        })?;
        named("arm", std::slice::from_ref(incumbent), known.arms)?;
        named("candidate", &self.candidates, &candidates)?;
        named("arm", &self.candidates, known.arms)?;
        named("scenario", &self.gating, known.scenarios)?;
        for candidate in record.candidates.keys() {
            ensure(self.candidates.contains(candidate), || {
                format!("it does not compare {candidate:?}; add it to `candidates`")
            })?;
        }
        ensure(!self.candidates.contains(incumbent), || {
            format!("{incumbent:?} cannot replace itself; name it once")
        })
    }
}

fn ensure(holds: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(fault()) }
}

/// A list has to name known things, at least one, and none twice.
fn named(what: &str, names: &[String], known: &[&str]) -> Result<(), String> {
    ensure(!names.is_empty(), || {
        format!("no {what} is named; name at least one")
    })?;
    let there = format!("there are: {}", known.join(", "));
    for (index, name) in names.iter().enumerate() {
        ensure(known.contains(&name.as_str()), || {
            format!("there is no {what} {name:?}; {there}")
        })?;
        ensure(!names[..index].contains(name), || {
            format!("{what} {name:?} is named twice; name it once")
        })?;
    }
    Ok(())
}

/// The line, from 1, of a byte of `text`.
fn line_at(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    1 + before.filter(|&&byte| byte == b'\n').count()
}

pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    let hint = "write three numbers, such as `1.0.0`";
    text.parse()
        .map_err(|error| de::Error::custom(format!("{text:?} is no version ({error}); {hint}")))
}
