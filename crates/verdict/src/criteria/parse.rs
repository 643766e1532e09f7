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
    /// The line, counted from 1; of a criterion or a candidate, the line of its name.
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
            error(
                e.span().map_or(0, |span| span.start),
                e.message().to_owned(),
            )
        })?;

        let candidates = in_order(read.candidate);
        let criteria = in_order(read.criterion);
        let names: Vec<&str> = candidates
            .iter()
            .map(|(name, _)| name.get_ref().as_str())
            .collect();
        for (name, kind) in &criteria {
            let fault = kind.fault(&names, known);
            if let Some(fault) = fault {
                let what = format!("[criterion.{}]: {fault}", name.get_ref());
                return Err(error(name.span().start, what));
            }
        }
        let (at, rule) = (read.rule.span().start, read.rule.into_inner());
        if let Some(fault) = rule.fault(&criteria, &names) {
            return Err(error(at, format!("[rule]: {fault}")));
        }
        Ok(Self {
            number: read.record,
            title: read.title,
            cores: read.cores.get(),
            candidates: candidates
                .into_iter()
                .map(|(name, table)| Candidate {
                    name: name.into_inner(),
                    crate_name: table.crate_name,
                })
                .collect(),
            revisit: rule.revisit,
            watch: rule.watch,
            criteria: criteria
                .into_iter()
                .map(|(name, kind)| Criterion {
                    name: name.into_inner(),
                    kind,
                })
                .collect(),
        })
    }
}

impl Kind {
    fn fault(&self, candidates: &[&str], known: Known<'_>) -> Option<String> {
        match self {
            Self::CrateVersion { .. } | Self::GaugeAgainstCeiling { .. } => None,
            Self::ShardSkew { at_most } => {
                let fine = at_most.is_finite() && *at_most >= 1.0;
                (!fine).then(|| format!("`at-most` is {at_most}, and has to be at least 1"))
            }
            Self::Bottleneck(bottleneck) => bottleneck.fault(candidates, known),
        }
    }
}

impl Bottleneck {
    fn fault(&self, candidates: &[&str], known: Known<'_>) -> Option<String> {
        let threshold = self.threshold;
        if !(threshold > 0.0 && threshold < 1.0) {
            return Some(format!(
                "the threshold {threshold} is not strictly between 0 and 1; a tenth of the time is 0.10"
            ));
        }
        let incumbent = std::slice::from_ref(&self.incumbent);
        named("arm", incumbent, known.arms)
            .or_else(|| named("candidate", &self.candidates, candidates))
            .or_else(|| named("arm", &self.candidates, known.arms))
            .or_else(|| named("scenario", &self.gating, known.scenarios))
            .or_else(|| {
                let itself = self.compares(&self.incumbent);
                itself.then(|| format!("{:?} cannot replace itself", self.incumbent))
            })
    }
}

impl Rule {
    /// The two lists name every criterion once, and a bottleneck, if there is one, compares every candidate.
    fn fault(&self, criteria: &[(Spanned<String>, Kind)], candidates: &[&str]) -> Option<String> {
        let names: Vec<&str> = criteria
            .iter()
            .map(|(name, _)| name.get_ref().as_str())
            .collect();
        let both: Vec<String> = self.revisit.iter().chain(&self.watch).cloned().collect();
        let unused = names
            .iter()
            .find(|name| !both.iter().any(|each| each == *name));
        let bottlenecks = criteria.iter().filter_map(|(name, kind)| match kind {
            Kind::Bottleneck(bottleneck) => Some((name.get_ref(), bottleneck)),
            _ => None,
        });
        let bottlenecks: Vec<_> = bottlenecks.collect();
        let left_out = bottlenecks
            .first()
            .and_then(|(_, bottleneck)| candidates.iter().find(|name| !bottleneck.compares(name)));
        if self.revisit.is_empty() {
            return Some("`revisit` names nothing; name at least one criterion".to_owned());
        }
        if let Some(fault) = named("criterion", &both, &names) {
            return Some(fault);
        }
        if let Some(name) = unused {
            return Some(format!(
                "criterion {name:?} is in neither list; add it to `revisit` or to `watch`, or remove it"
            ));
        }
        if bottlenecks.len() > 1 {
            return Some(
                "two criteria are bottlenecks; a record asks one such question".to_owned(),
            );
        }
        if let Some(name) = left_out {
            return Some(format!(
                "candidate {name:?} is compared by no bottleneck; add it to its `candidates`, or remove it"
            ));
        }
        let per_candidate = |name: &&String| {
            let kind = criteria.iter().find(|(own, _)| own.get_ref() == *name);
            matches!(
                kind,
                Some((_, Kind::Bottleneck(_) | Kind::CrateVersion { .. }))
            )
        };
        let watched = self.watch.iter().find(per_candidate);
        watched.map(|name| {
            format!("{name:?} is answered for each candidate, and cannot be watched; move it to `revisit`")
        })
    }
}

/// What is wrong with a list that has to name known things, at least one, and none twice.
fn named(what: &str, names: &[String], known: &[&str]) -> Option<String> {
    if names.is_empty() {
        return Some(format!("no {what} is named; name at least one"));
    }
    for (index, name) in names.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Some(format!("there is no {what} {name:?}; there are: {known}"));
        }
        if names[..index].contains(name) {
            return Some(format!("{what} {name:?} is named twice; name it once"));
        }
    }
    None
}

/// By where they stand in the file.
fn in_order<T>(tables: BTreeMap<Spanned<String>, T>) -> Vec<(Spanned<String>, T)> {
    let mut tables: Vec<_> = tables.into_iter().collect();
    tables.sort_by_key(|(name, _)| name.span().start);
    tables
}

/// The line, from 1, of a byte of `text`.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    1 + before.filter(|&&byte| byte == b'\n').count()
}

pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| {
        let what =
            format!("{text:?} is no version ({error}); write three numbers, such as `1.0.0`");
        de::Error::custom(what)
    })
}
