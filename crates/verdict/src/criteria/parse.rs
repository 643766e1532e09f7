//! From the text of a criteria file to a [`Record`]: serde reads it, and what serde cannot know is checked here.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use semver::Version;
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;
use toml::Spanned;

use super::{Bottleneck, Candidate, Criterion, Kind, Known, Record};

/// A criteria file that is not accepted: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{file}:{line}: {what}")]
#[non_exhaustive]
pub struct CriteriaError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, counted from 1; of what serde does not check, the line of the criterion's name.
    pub line: usize,
    /// What is wrong there, and the way out.
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    record: String,
    title: String,
    cores: NonZeroU32,
    rule: Spanned<Rule>,
    candidate: BTreeMap<Spanned<String>, CandidateTable>,
    #[serde(default)]
    criterion: BTreeMap<Spanned<String>, Kind>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    revisit: Vec<String>,
    #[serde(default)]
    watch: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CandidateTable {
    #[serde(rename = "crate")]
    crate_name: String,
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
        let read: File = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            error(at, e.message().to_owned())
        })?;
        let mut record = Self {
            number: read.record,
            title: read.title,
            cores: read.cores.get(),
            candidates: Vec::new(),
            revisit: read.rule.get_ref().revisit.clone(),
            watch: read.rule.get_ref().watch.clone(),
            criteria: Vec::new(),
        };
        for (_, name, CandidateTable { crate_name }) in in_order(read.candidate) {
            record.candidates.push(Candidate { name, crate_name });
        }
        for (at, name, kind) in in_order(read.criterion) {
            let fault = kind.check(&record.candidates, known);
            fault.map_err(|fault| error(at, format!("[criterion.{name}]: {fault}")))?;
            record.criteria.push(Criterion { name, kind });
        }
        let at = read.rule.span().start;
        let fault = record.check();
        fault.map_err(|fault| error(at, format!("[rule]: {fault}")))?;
        Ok(record)
    }

    /// The two lists name every criterion once, and the bottleneck, if there is one, compares every candidate.
    fn check(&self) -> Result<(), String> {
        let criteria: Vec<&str> = self
            .criteria
            .iter()
            .map(|each| each.name.as_str())
            .collect();
        let both = [self.revisit.as_slice(), &self.watch].concat();
        named("criterion", &both, &criteria)?;
        ensure(!self.revisit.is_empty(), || {
            "`revisit` names nothing; name at least one criterion".to_owned()
        })?;
        for Criterion { name, kind } in &self.criteria {
            ensure(both.contains(name), || {
                format!("criterion {name:?} is in neither list; add it to `revisit` or `watch`")
            })?;
            let per_candidate = matches!(kind, Kind::Bottleneck(_) | Kind::CrateVersion { .. });
            ensure(!per_candidate || self.revisit.contains(name), || {
                format!("{name:?} is answered for each candidate; move it to `revisit`")
            })?;
            if let Kind::Bottleneck(own) = kind {
                let first = self
                    .bottleneck()
                    .is_some_and(|first| std::ptr::eq(first, own));
                ensure(first, || {
                    format!("{name:?} is a second bottleneck; a record asks one such question")
                })?;
                let mut all = self.candidates.iter();
                let left_out = all.find(|each| !own.candidates.contains(&each.name));
                ensure(left_out.is_none(), || {
                    let name = left_out.map_or("", |each| &each.name);
                    format!("candidate {name:?} is compared by no bottleneck; add it to one")
                })?;
            }
        }
        Ok(())
    }
}

impl Kind {
    fn check(&self, candidates: &[Candidate], known: Known<'_>) -> Result<(), String> {
        match self {
            Self::Bottleneck(bottleneck) => bottleneck.check(candidates, known),
            Self::ShardSkew { at_most } => ensure(at_most.is_finite() && *at_most >= 1.0, || {
                format!("`at-most` is {at_most}, and has to be at least 1")
            }),
            Self::CrateVersion { .. } | Self::GaugeAgainstCeiling { .. } => Ok(()),
        }
    }
}

impl Bottleneck {
    fn check(&self, candidates: &[Candidate], known: Known<'_>) -> Result<(), String> {
        let candidates: Vec<&str> = candidates.iter().map(|each| each.name.as_str()).collect();
        let (share, incumbent) = (self.threshold, &self.incumbent);
        ensure(share > 0.0 && share < 1.0, || {
            format!("the threshold {share} is not between 0 and 1; a tenth of the time is 0.10")
        })?;
        named("arm", std::slice::from_ref(incumbent), known.arms)?;
        named("candidate", &self.candidates, &candidates)?;
        named("arm", &self.candidates, known.arms)?;
        named("scenario", &self.gating, known.scenarios)?;
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
    let there = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    for (index, name) in names.iter().enumerate() {
        ensure(known.contains(&name.as_str()), || {
            format!("there is no {what} {name:?}; there are: {there}")
        })?;
        ensure(!names[..index].contains(name), || {
            format!("{what} {name:?} is named twice; name it once")
        })?;
    }
    Ok(())
}

/// Where they stand in the file, in that order.
fn in_order<T>(tables: BTreeMap<Spanned<String>, T>) -> Vec<(usize, String, T)> {
    let tables = tables.into_iter();
    let place = |(name, table): (Spanned<String>, T)| (name.span().start, name.into_inner(), table);
    let mut tables: Vec<_> = tables.map(place).collect();
    tables.sort_by_key(|(at, ..)| *at);
    tables
}

/// The line, from 1, of a byte of `text`.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    1 + before.filter(|&&byte| byte == b'\n').count()
}

pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    let hint = "write three numbers, such as `1.0.0`";
    text.parse()
        .map_err(|error| de::Error::custom(format!("{text:?} is no version ({error}); {hint}")))
}
