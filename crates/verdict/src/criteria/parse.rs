//! From the text of a criteria file to a [`Record`].

use toml::de::DeTable;

use super::problem::{CriteriaError, Problem};
use super::table::{Source, Table, Text};
use super::{Bottleneck, Candidate, Criterion, DEFAULT_THRESHOLD, Kind, Known, Record};

const KINDS: [&str; 4] = [
    "crate-version",
    "bottleneck",
    "gauge-against-ceiling",
    "shard-skew",
];

impl Record {
    /// Reads a criteria file; `file` is what errors call it, `known` what the caller can measure.
    ///
    /// # Errors
    ///
    /// [`CriteriaError`] with the line of the first thing that is wrong.
    pub fn parse(file: &str, text: &str, known: Known<'_>) -> Result<Self, CriteriaError> {
        let source = Source { file, text };
        let document = DeTable::parse(text).map_err(|e| {
            let at = e.span().map_or(0, |span| span.start);
            source.error(at, Problem::Syntax(e.message().to_owned()))
        })?;
        let root = Table::root(source, &document);
        root.only(&["record", "title", "cores", "rule", "candidate", "criterion"])?;

        let candidates = root.tables("candidate")?;
        let names: Vec<Text> = candidates.iter().map(|(name, _)| name.clone()).collect();
        let mut criteria = Vec::new();
        for (name, table) in root.tables("criterion")? {
            let kind = kind(&table, &names, known)?;
            criteria.push((name, kind));
        }
        let rule = root.table("rule")?;
        rule.only(&["revisit", "watch"])?;
        let (revisit, watch) = lists(&rule, &criteria)?;

        for name in &names {
            let compared = |kind: &Kind| match kind {
                Kind::Bottleneck(bottleneck) => bottleneck.candidates.contains(&name.text),
                _ => false,
            };
            let bottleneck = |kind: &Kind| matches!(kind, Kind::Bottleneck(_));
            let any = criteria.iter().any(|(_, kind)| bottleneck(kind));
            if any && !criteria.iter().any(|(_, kind)| compared(kind)) {
                return Err(source.error(name.at, Problem::NotCompared(name.text.clone())));
            }
        }
        if names.is_empty() {
            let (key, what) = ("candidate".to_owned(), "candidate");
            return Err(source.error(0, Problem::Empty { key, what }));
        }
        Ok(Self {
            number: root.text("record")?.text,
            title: root.text("title")?.text,
            cores: cores(&root)?,
            candidates: candidates
                .into_iter()
                .map(|(name, table)| candidate(name, &table))
                .collect::<Result<_, _>>()?,
            revisit,
            watch,
            criteria: criteria
                .into_iter()
                .map(|(name, kind)| Criterion {
                    name: name.text,
                    kind,
                })
                .collect(),
        })
    }
}

fn cores(root: &Table<'_>) -> Result<u32, CriteriaError> {
    // No machine has more cores than fit, and one that is asked for more would never answer.
    Ok(u32::try_from(root.whole("cores", 1)?).unwrap_or(u32::MAX))
}

fn candidate(name: Text, table: &Table<'_>) -> Result<Candidate, CriteriaError> {
    table.only(&["crate"])?;
    Ok(Candidate {
        name: name.text,
        crate_name: table.text("crate")?.text,
    })
}

fn kind(table: &Table<'_>, candidates: &[Text], known: Known<'_>) -> Result<Kind, CriteriaError> {
    let kind = table.text("kind")?;
    match kind.text.as_str() {
        "crate-version" => {
            table.only(&["kind", "at-least"])?;
            let version = table.text("at-least")?;
            let at_least = version.text.parse();
            let at_least =
                at_least.map_err(|e| table.source.error(version.at, Problem::Version(e)))?;
            Ok(Kind::CrateVersion { at_least })
        }
        "bottleneck" => bottleneck(table, candidates, known).map(Kind::Bottleneck),
        "gauge-against-ceiling" => {
            table.only(&["kind", "per-shard"])?;
            let per_shard = table.whole("per-shard", 1)?;
            Ok(Kind::GaugeAgainstCeiling { per_shard })
        }
        "shard-skew" => {
            table.only(&["kind", "at-most"])?;
            let at_most = table.number("at-most")?;
            let (at_most, at) = at_most.ok_or_else(|| missing(table, "at-most"))?;
            if !at_most.is_finite() || at_most < 1.0 {
                let (key, least) = ("at-most".to_owned(), "1".to_owned());
                let found = at_most.to_string();
                let problem = Problem::TooSmall { key, found, least };
                return Err(table.source.error(at, problem));
            }
            Ok(Kind::ShardSkew { at_most })
        }
        _ => Err(unknown(table, "kind", &kind, &KINDS)),
    }
}

fn bottleneck(
    table: &Table<'_>,
    candidates: &[Text],
    known: Known<'_>,
) -> Result<Bottleneck, CriteriaError> {
    table.only(&["kind", "incumbent", "candidates", "threshold", "gating"])?;
    let incumbent = table.text("incumbent")?;
    among(table, "arm", &incumbent, known.arms)?;

    let named: Vec<&str> = candidates.iter().map(|name| name.text.as_str()).collect();
    let compared = list(table, "candidates", "candidate")?;
    for candidate in &compared {
        among(table, "candidate", candidate, &named)?;
        among(table, "arm", candidate, known.arms)?;
        if candidate.text == incumbent.text {
            let (what, name) = ("arm", candidate.text.clone());
            return Err(table
                .source
                .error(candidate.at, Problem::Twice { what, name }));
        }
    }
    let gating = list(table, "gating", "scenario")?;
    for scenario in &gating {
        among(table, "scenario", scenario, known.scenarios)?;
    }
    let threshold = match table.number("threshold")? {
        Some((value, at)) if !(value > 0.0 && value < 1.0) => {
            return Err(table.source.error(at, Problem::Threshold(value)));
        }
        Some((value, _)) => value,
        None => DEFAULT_THRESHOLD,
    };
    let texts = |list: Vec<Text>| list.into_iter().map(|each| each.text).collect();
    Ok(Bottleneck {
        incumbent: incumbent.text,
        candidates: texts(compared),
        threshold,
        gating: texts(gating),
    })
}

/// The two lists of the rule; together they name every criterion once.
fn lists(
    rule: &Table<'_>,
    criteria: &[(Text, Kind)],
) -> Result<(Vec<String>, Vec<String>), CriteriaError> {
    let revisit = list(rule, "revisit", "criterion")?;
    let watch = rule.texts("watch")?;
    let names: Vec<&str> = criteria
        .iter()
        .map(|(name, _)| name.text.as_str())
        .collect();
    let mut used: Vec<&str> = Vec::new();
    for name in revisit.iter().chain(&watch) {
        among(rule, "criterion", name, &names)?;
        if used.contains(&name.text.as_str()) {
            let (what, name_text) = ("criterion", name.text.clone());
            let problem = Problem::Twice {
                what,
                name: name_text,
            };
            return Err(rule.source.error(name.at, problem));
        }
        used.push(&name.text);
    }
    let unused = criteria
        .iter()
        .find(|(name, _)| !used.contains(&name.text.as_str()));
    if let Some((name, _)) = unused {
        let problem = Problem::Unused(name.text.clone());
        return Err(rule.source.error(name.at, problem));
    }
    let texts = |list: &[Text]| list.iter().map(|each| each.text.clone()).collect();
    Ok((texts(&revisit), texts(&watch)))
}

/// A list that names at least one thing, and none twice.
fn list(table: &Table<'_>, key: &str, what: &'static str) -> Result<Vec<Text>, CriteriaError> {
    let items = table.texts(key)?;
    if items.is_empty() {
        let key = key.to_owned();
        return Err(table.source.error(table.at, Problem::Empty { key, what }));
    }
    for (index, item) in items.iter().enumerate() {
        if items[..index].iter().any(|before| before.text == item.text) {
            let name = item.text.clone();
            return Err(table.source.error(item.at, Problem::Twice { what, name }));
        }
    }
    Ok(items)
}

fn among(
    table: &Table<'_>,
    what: &'static str,
    name: &Text,
    known: &[&str],
) -> Result<(), CriteriaError> {
    if known.contains(&name.text.as_str()) {
        return Ok(());
    }
    Err(unknown(table, what, name, known))
}

fn unknown(table: &Table<'_>, what: &'static str, name: &Text, known: &[&str]) -> CriteriaError {
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    let problem = Problem::Unknown {
        what,
        name: name.text.clone(),
        known,
    };
    table.source.error(name.at, problem)
}

fn missing(table: &Table<'_>, key: &str) -> CriteriaError {
    let (key, name) = (key.to_owned(), table.name.clone());
    let problem = Problem::MissingKey { key, table: name };
    table.source.error(table.at, problem)
}
