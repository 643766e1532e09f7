//! `cargo xtask adr`: the measured sections of the decision records, written and checked.
//!
//! `update` keeps a copy of the results beside the record, and computes the section from the copy
//! and the criteria alone. So `check` needs no benchmark: it computes every section again, and
//! what was true stays true when a dependency, the machine or the date changes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use verdict::schema::{Mode, Results};
use verdict::{Facts, Known, Next, decide, render};

use crate::flags::{Adr, AdrTask};
use crate::workspace::Workspace;

/// What stands between these lines is written by `update`.
const BEGIN: &str = "\n<!-- measured: begin -->\n";
const END: &str = "\n<!-- measured: end -->\n";

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
    let mut records = records(root)?.into_iter();
    let record = records
        .find(|record| record.number == number)
        .with_context(|| {
            format!("there is no adr/{number}-*.md with an adr/{number}-criteria.toml beside it")
        })?;
    let text = fs::read_to_string(root.join(results));
    let answered = text.map_err(anyhow::Error::from).and_then(|text| {
        let copy = copy(number, &text)?;
        Ok((record.answer(&copy)?, copy))
    });
    let ((section, verdicts), copy) =
        answered.with_context(|| format!("{} is refused", results.display()))?;

    let [before, _, after] = record.parts()?;
    fs::write(root.join(record.beside("results.json")), copy)?;
    fs::write(root.join(&record.path), [before, &section, after].concat())?;
    println!("{}: {verdicts}", record.path);
    Ok(())
}

/// What the results have of a record's scenarios, without whitespace: it is kept for good.
fn copy(number: &str, text: &str) -> Result<String> {
    let mut results = Results::from_json(text)?;
    ensure!(results.mode != Mode::Quick, "a quick run gives no verdict");
    results
        .runs
        .retain(|run| run.adr.as_deref() == Some(number));
    Ok(results.to_json()? + "\n")
}

/// Goes on after a failure, so that one run shows all there is to mend.
fn check(root: &Path) -> Result<bool> {
    let mut passed = true;
    for record in records(root)? {
        match record.check(root) {
            Ok(()) => println!("{}: is what its results say", record.path),
            Err(error) => {
                println!("{error:#}");
                passed = false;
            }
        }
    }
    Ok(passed)
}

/// A decision record that rests on measurements.
#[derive(Debug)]
struct Record {
    number: String,
    /// Relative to the root, with `/` on every system.
    path: String,
    text: String,
    criteria: String,
}

impl Record {
    fn beside(&self, what: &str) -> String {
        format!("adr/{}-{what}", self.number)
    }

    /// What comes before the measured section, the section, and what comes after it.
    fn parts(&self) -> Result<[&str; 3]> {
        let begin = self.text.find(BEGIN).map(|at| at + BEGIN.len());
        let end = self.text.find(END).map(|at| at + 1);
        let once = |marker| self.text.matches(marker).count() == 1;
        match (begin, end) {
            (Some(begin), Some(end)) if begin <= end && once(BEGIN) && once(END) => Ok([
                &self.text[..begin],
                &self.text[begin..end],
                &self.text[end..],
            ]),
            _ => bail!(
                "{}: has to have one line `{}`, and after it one line `{}`",
                self.path,
                BEGIN.trim(),
                END.trim()
            ),
        }
    }

    /// The section that says what the results say, and the verdicts in short.
    fn answer(&self, results: &str) -> Result<(String, String)> {
        let results = Results::from_json(results)?;
        let runs = &results.runs;
        let scenarios: Vec<&str> = runs.iter().map(|run| &*run.scenario).collect();
        let arms: Vec<&str> = runs
            .iter()
            .flat_map(|run| &run.arms)
            .map(|arm| &*arm.name)
            .collect();
        // What was not measured cannot be asked for: it is an error here, and not an open answer.
        let known = Known {
            scenarios: &scenarios,
            arms: &arms,
        };
        let criteria = self.beside("criteria.toml");
        let mut record = verdict::Record::parse(&criteria, &self.criteria, known)?;
        let (number, of) = (&self.number, &record.number);
        ensure!(of == number, "{criteria} says that it is about record {of}");
        record.add_more_shards(&results.gauges);
        let decision = decide(&results, &record, &Facts::of(&results));
        ensure!(
            decision.next == Next::Done,
            "the run stopped before its end: go on with `{} --resume`",
            results.command
        );
        let section = format!(
            "\nFrom [`{number}-results.json`]({number}-results.json), by `cargo xtask adr update \
             {number}`. Do not edit it:\n`cargo xtask adr check` computes it again.\n\n{}\n",
            render::section(&results, &decision)
        );
        let verdicts = decision.candidates.iter();
        let verdicts = verdicts.map(|one| format!("{}: {}", one.candidate, one.ruling));
        Ok((section, verdicts.collect::<Vec<_>>().join(", ")))
    }

    fn check(&self, root: &Path) -> Result<()> {
        let [before, section, _] = self.parts()?;
        let (path, number, kept) = (&self.path, &self.number, self.beside("results.json"));
        let line = before.lines().count() + 1;
        let text = fs::read_to_string(root.join(&kept)).map_err(anyhow::Error::from);
        let (should, _) = text.and_then(|text| self.answer(&text)).map_err(|error| {
            anyhow!(
                "{path}:{line}: {kept} is refused: {error:#}; mend it with \
                 `cargo xtask bench --adr {number}` and `cargo xtask adr update {number}`"
            )
        })?;
        let lines = section.split('\n').zip(should.split('\n'));
        let same = lines.take_while(|(is, should)| is == should).count();
        ensure!(
            section == should,
            "{path}:{}: is not what {kept} says; mend it with \
             `cargo xtask adr update {number} --results {kept}`",
            line + same
        );
        Ok(())
    }
}

/// Every `adr/NNNN-*.md` with criteria, in the order of the numbers.
fn records(root: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let entries = fs::read_dir(root.join("adr"));
    for entry in entries.context("cannot read adr/, where the decision records are")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some((number, _)) = name.split_once('-').filter(|_| name.ends_with(".md")) else {
            continue;
        };
        let path = format!("adr/{name}");
        if let Ok(criteria) = fs::read_to_string(root.join(format!("adr/{number}-criteria.toml"))) {
            let text = fs::read_to_string(root.join(&path))?;
            records.push(Record {
                number: number.to_owned(),
                path,
                text,
                criteria,
            });
        }
    }
    records.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "0005";

    /// A repository that holds nothing but one of our records, with all that is beside it.
    struct Repository(tempfile::TempDir);

    impl Repository {
        fn new() -> Self {
            let new = Self(tempfile::tempdir().unwrap());
            fs::create_dir(new.0.path().join("adr")).unwrap();
            let ours = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("adr");
            for entry in fs::read_dir(ours).unwrap() {
                let name = entry.as_ref().unwrap().file_name();
                if name.to_string_lossy().starts_with(NUMBER) {
                    let to = new.0.path().join("adr").join(name);
                    fs::copy(entry.unwrap().path(), to).unwrap();
                }
            }
            new
        }

        fn record(&self) -> Record {
            records(self.0.path()).unwrap().pop().unwrap()
        }

        fn change(&self, path: &str, from: &str, to: &str) {
            let path = self.0.path().join(path);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{from:?} is not in {path:?}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        }

        /// What the check says is wrong.
        fn said(&self) -> String {
            let root = self.0.path();
            let said = self
                .record()
                .check(root)
                .err()
                .map(|error| format!("{error:#}"));
            assert_eq!(check(root).unwrap(), said.is_none());
            said.unwrap_or_default()
        }

        fn update(&self) -> String {
            let kept = self.record().beside("results.json");
            let error = update(self.0.path(), NUMBER, kept.as_ref()).err();
            error.map(|error| format!("{error:#}")).unwrap_or_default()
        }
    }

    #[test]
    fn an_edited_section_is_found_on_its_line_and_written_again() {
        let repository = Repository::new();
        let before = repository.record();
        assert_eq!(repository.said(), "");
        repository.change(&before.path, "Measured with", "Felt with");
        let line = 1 + repository
            .record()
            .text
            .lines()
            .position(|line| line.starts_with("Felt with"))
            .unwrap();
        let said = repository.said();
        assert!(
            said.starts_with(&format!("{}:{line}: is not what", before.path)),
            "{said}"
        );
        assert_eq!(repository.update(), "");
        assert_eq!(repository.record().text, before.text);
        assert_eq!(repository.said(), "");
    }

    #[test]
    fn other_criteria_than_it_was_answered_by_are_found() {
        let repository = Repository::new();
        let criteria = repository.record().beside("criteria.toml");
        repository.change(&criteria, "at-least = \"1.0.0\"", "at-least = \"0.0.1\"");
        assert!(
            repository
                .said()
                .contains("is not what adr/0005-results.json says")
        );
        repository.change(&criteria, "record = \"0005\"", "record = \"0004\"");
        assert!(repository.said().contains("is about record 0004"));
    }

    #[test]
    fn results_that_are_no_results_are_refused_and_nothing_is_written() {
        for (from, to, why) in [
            ("{", "", ""),
            ("\"schema\":\"", "\"schema\":\"another-", "schema"),
            ("\"adr\":\"0005\"", "\"adr\":\"0004\"", "there is no"),
            ("\"mode\":\"default\"", "\"mode\":\"quick\"", "a quick run"),
        ] {
            let repository = Repository::new();
            let before = repository.record();
            repository.change(&before.beside("results.json"), from, to);
            let refused = repository.update();
            assert!(
                refused.contains("is refused") && refused.contains(why),
                "{to}: {refused}"
            );
            assert_eq!(repository.record().text, before.text);
        }
    }

    #[test]
    fn a_record_needs_both_markers_once() {
        for (from, to) in [
            (BEGIN, "\n"),
            (END, "\n"),
            (END, BEGIN),
            (BEGIN, &format!("{BEGIN}{BEGIN}")),
        ] {
            let repository = Repository::new();
            repository.change(&repository.record().path, from, to);
            assert!(
                repository
                    .said()
                    .contains("one line `<!-- measured: begin -->`")
            );
        }
    }

    #[test]
    fn only_a_record_that_rests_on_measurements_is_updated() {
        let repository = Repository::new();
        let error = update(repository.0.path(), "0001", "any".as_ref()).unwrap_err();
        assert!(
            error.to_string().starts_with("there is no adr/0001-*.md"),
            "{error}"
        );
    }
}
