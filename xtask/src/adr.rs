//! `cargo xtask adr`: the measured sections of the decision records, written and checked.
//!
//! `update` keeps a copy of the results beside the record and computes the section from that copy. So `check` needs no
//! benchmark: it computes every section again, and whoever reads the repository can do the same.

mod answer;
mod markers;
mod section;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use verdict::schema::{Mode, Results};
use verdict::{Next, ReadError};

use crate::adr::answer::Answer;
use crate::adr::markers::{MarkerError, Measured};
use crate::flags::{Adr, AdrTask};
use crate::workspace::Workspace;

/// Says whether every record that was looked at is in order.
pub(crate) fn run(workspace: &Workspace, flags: &Adr) -> Result<bool> {
    match &flags.task {
        AdrTask::Update { number, results } => {
            update(&workspace.root, number, results)?;
            Ok(true)
        }
        AdrTask::Check => check(&workspace.root),
    }
}

fn update(root: &Path, number: &str, results: &Path) -> Result<()> {
    let records = documents(root)?;
    let record = records.iter().find(|record| record.number == number);
    let record = record.with_context(|| format!("there is no record adr/{number}-*.md"))?;
    let criteria = record.criteria(root)?.with_context(|| {
        format!(
            "record {number} does not rest on measurements: it has no adr/{number}-criteria.toml"
        )
    })?;
    let measured = record.measured()?;

    let shown = results.display();
    let text = fs::read_to_string(root.join(results)).with_context(|| {
        format!("cannot read {shown}: measure with `cargo xtask bench --adr {number}`, or name a file with --results")
    })?;
    let copy = compact(number, &text).with_context(|| format!("{shown} is refused"))?;
    let answer = Answer::new(number, &criteria, &copy)
        .with_context(|| format!("{shown} does not answer record {number}"))?;
    ensure!(
        answer.results.mode != Mode::Quick,
        "{shown} is of a quick run, which gives no verdict: run `cargo xtask bench --adr {number}`"
    );
    ensure!(
        answer.decision.next == Next::Done,
        "{shown} is of a run that stopped before its end: go on with `{} --resume`",
        answer.results.command
    );

    let file = format!("{number}-results.json");
    let spliced = measured.splice(&answer.section(&file));
    let kept = format!("adr/{file}");
    write(root, &kept, &copy)?;
    write(root, &record.path, &spliced)?;
    println!("{kept}: {} kB, from {shown}", copy.len().div_ceil(1_000));
    println!("{}: {}", record.path, answer.in_short());
    Ok(())
}

/// What the results have of a record's scenarios, without whitespace, since a repository keeps them for good.
fn compact(number: &str, text: &str) -> Result<String, ReadError> {
    let mut results = Results::from_json(text)?;
    results
        .runs
        .retain(|run| run.adr.as_deref() == Some(number));
    Ok(results.to_json()? + "\n")
}

fn write(root: &Path, path: &str, text: &str) -> Result<()> {
    fs::write(root.join(path), text).with_context(|| format!("cannot write {path}"))
}

/// Goes on after a failure, so that one run shows all there is to mend.
fn check(root: &Path) -> Result<bool> {
    let mut passed = true;
    for record in documents(root)? {
        match checked(root, &record) {
            Ok(None) => {}
            Ok(Some(state)) => println!("{}: {state}", record.number),
            Err(error) => {
                println!("{error:#}");
                passed = false;
            }
        }
    }
    Ok(passed)
}

/// How a record is in order; nothing of one that rests on no measurements.
fn checked(root: &Path, record: &Document) -> Result<Option<String>> {
    let Document { number, path, .. } = record;
    let measured = record.measured();
    let Some(criteria) = record.criteria(root)? else {
        return match measured {
            Err(_) => Ok(None),
            Ok(measured) => bail!(
                "{path}:{}: a measured section needs adr/{number}-criteria.toml, which is missing",
                measured.first_line()
            ),
        };
    };
    let measured = measured?;
    // First, so that what is wrong in the criteria is not said of the results.
    answer::shape(number, &criteria)?;
    if measured.is_empty() {
        return Ok(Some("not measured yet".to_owned()));
    }

    let at = |line: usize| format!("{path}:{line}");
    let first = at(measured.first_line());
    let anew = format!(
        "mend it with `cargo xtask bench --adr {number}` and `cargo xtask adr update {number}`"
    );
    let file = section::named(measured.section)
        .ok_or_else(|| anyhow!("{first}: the section names no results file; {anew}"))?;
    let text = fs::read_to_string(root.join("adr").join(file))
        .map_err(|error| anyhow!("{first}: adr/{file} cannot be read: {error}; {anew}"))?;
    let answer = Answer::new(number, &criteria, &text)
        .map_err(|error| anyhow!("{first}: adr/{file} is refused: {error:#}; {anew}"))?;
    if let Some(line) = measured.differs(&answer.section(file)) {
        bail!(
            "{}: is not what adr/{file} says; \
             mend it with `cargo xtask adr update {number} --results adr/{file}`",
            at(line)
        );
    }
    Ok(Some(format!("is what adr/{file} says")))
}

/// A decision record, as a file.
#[derive(Debug)]
struct Document {
    number: String,
    /// Relative to the root, with `/` on every system.
    path: String,
    text: String,
}

impl Document {
    fn measured(&self) -> Result<Measured<'_>> {
        let with_place = |error: MarkerError| {
            let place = format!("{}:{}", self.path, error.line());
            anyhow::Error::new(error).context(place)
        };
        Measured::find(&self.text).map_err(with_place)
    }

    /// The text of its criteria; nothing where it has none.
    fn criteria(&self, root: &Path) -> Result<Option<String>> {
        let path = answer::criteria_path(&self.number);
        if !root.join(&path).exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(root.join(&path));
        Ok(Some(text.with_context(|| format!("cannot read {path}"))?))
    }
}

/// Every `adr/NNNN-*.md`, in the order of the numbers.
fn documents(root: &Path) -> Result<Vec<Document>> {
    let mut documents = Vec::new();
    let entries = fs::read_dir(root.join("adr"));
    for entry in entries.context("cannot read adr/, where the decision records are")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some((number, _)) = name.split_once('-') else {
            continue;
        };
        let numbered = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        if !numbered || !name.ends_with(".md") {
            continue;
        }
        let path = format!("adr/{name}");
        let text = fs::read_to_string(root.join(&path));
        documents.push(Document {
            number: number.to_owned(),
            text: text.with_context(|| format!("cannot read {path}"))?,
            path,
        });
    }
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(documents)
}
