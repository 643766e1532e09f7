//! What is rendered: well formed, self-contained, escaped, and in the words of the decision.

use std::fs;

use verdict::render::{html, limits, markdown, section, terminal};
use verdict::schema::{Figures, LatencyPoint, Mode, Results};
use verdict::{Decision, Record, decide};

use crate::markup::{self, Page};
use crate::sample;
use crate::synthetic::{CRITERIA, KNOWN, empty_results, facts, record};

fn page(results: &Results, decisions: &[Decision]) -> Page {
    let text = html(results, decisions);
    markup::check(&text).unwrap_or_else(|fault| panic!("{fault}\n{text}"))
}

#[test]
fn the_page_is_well_formed_and_refers_to_nothing_outside() {
    let results = sample::results();
    let decisions = [sample::decision(&results)];
    // For people to look at in a browser.
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/report.html");
    fs::write(path, html(&results, &decisions)).expect("the folder for tests is writable");
    let page = page(&results, &decisions);
    assert!(page.references.is_empty(), "{:?}", page.references);
    // Two drawings for each of four runs, two of latency, one of memory.
    assert_eq!(page.drawings, 11);
    for section in [
        "ratios", "latency", "memory", "counts", "limits", "raw", "repeat",
    ] {
        assert!(page.ids.contains(section), "no {section}");
    }
}

#[test]
fn the_verdict_comes_first() {
    let results = sample::results();
    let text = html(&results, &[sample::decision(&results)]);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}"));
    assert!(at("<strong>REVISIT</strong>") < at("<h2 id=\"ratios\">"));
    assert!(at("<strong>KEEP</strong>") < at("<strong>REVISIT</strong>"));
    assert!(at("(a) stable-api and (b) bottleneck say yes.") < at("<h2 id=\"ratios\">"));
    // What decides nothing is folded away, after what does, wherever it stands in the file.
    let mut turned = results.clone();
    turned.runs.reverse();
    for results in [&results, &turned] {
        let text = html(results, &[sample::decision(results)]);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what}"));
        let fold = at("<summary>Scenarios that decide nothing</summary>");
        assert!(
            at("<h3>decode-step, first pass</h3>") < fold
                && at("<h3>decode-step, second pass</h3>") < fold
        );
        assert!(fold < at("<h3>on-token/2, first pass</h3>"));
        // The raw tables as well.
        let (first, last) = (
            "decode-step, first pass: gains",
            "on-token/2, first pass: gains",
        );
        assert!(at(first) < at(last));
    }
}

#[test]
fn nothing_measured_is_a_page_too() {
    let empty = empty_results(1, crate::synthetic::PLAN);
    page(&empty, &[]);
    let decision = decide(&empty, &record(), &facts());
    page(&empty, std::slice::from_ref(&decision));
    assert!(markdown(&empty, &[decision]).contains("there is no run of it"));

    let mut odd = sample::results();
    odd.latency[0].points = Vec::new();
    odd.latency[1].points = [0.0, -5.0, 100.0, 1e300, f64::NAN]
        .map(|percentile| LatencyPoint {
            percentile,
            nanos: 0,
        })
        .to_vec();
    odd.latency[2].load = f64::NAN;
    odd.bytes[0].entries = 0;
    odd.bytes[1].bytes = u64::MAX;
    odd.machine.cores = u32::MAX;
    odd.runs[1].blocks[3].number = u32::MAX;
    page(&odd, &[sample::decision(&odd)]);
    odd.machine.cores = 0;
    for run in &mut odd.runs {
        for block in &mut run.blocks {
            for cell in &mut block.cells {
                *cell = verdict::schema::Cell::Measured { slices: Vec::new() };
            }
        }
    }
    let decision = sample::decision(&odd);
    page(&odd, std::slice::from_ref(&decision));
    assert!(terminal(&[decision]).contains("no block gave a pair"));
}

const HOSTILE: &str = "<script src=//x>'\"&|`*_\u{1b}[2J\n# x\u{7}";

/// Every text of the results and the record replaced by one that means something in every format.
fn hostile() -> (Results, Decision) {
    let mut results = sample::results();
    let text = HOSTILE.to_owned();
    for field in [
        &mut results.started,
        &mut results.command,
        &mut results.revision,
        &mut results.machine.model,
        &mut results.machine.kernel,
        &mut results.machine.compiler,
    ] {
        field.clone_from(&text);
    }
    results.machine.virtualised = Some(text.clone());
    results.versions.insert(text.clone(), text.clone());
    results.notes.push(text.clone());
    results.instructions = Figures::NotMeasured {
        why: text.clone(),
        command: text.clone(),
    };
    for run in &mut results.runs {
        run.what.clone_from(&text);
        for arm in run.arms.iter_mut().skip(5) {
            arm.name.push_str(HOSTILE);
        }
        if run.scenario != "decode-step" {
            run.scenario.push_str(HOSTILE);
        }
        if let verdict::schema::Cell::Void { reason, .. } = &mut run.blocks[11].cells[3] {
            reason.clone_from(&text);
        }
    }
    for curve in &mut results.latency {
        curve.arm.push_str(HOSTILE);
        curve.scenario.push_str(HOSTILE);
    }
    for figure in &mut results.bytes {
        figure.arm.push_str(HOSTILE);
    }
    if let Figures::Measured(figures) = &mut results.allocations {
        figures[0].arm.clone_from(&text);
    }
    let mut record = record();
    record.title.clone_from(&text);
    record.number.clone_from(&text);
    let decision = decide(&results, &record, &facts());
    (results, decision)
}

#[test]
fn text_from_data_stays_text() {
    let (results, decision) = hostile();
    let text = html(&results, std::slice::from_ref(&decision));
    assert!(!text.contains("<script") && !text.contains('\u{1b}'));
    assert!(text.contains("&lt;script src=//x&gt;&#39;&quot;&amp;"));
    let page = page(&results, std::slice::from_ref(&decision));
    assert!(page.references.is_empty(), "{:?}", page.references);

    let text = terminal(std::slice::from_ref(&decision));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'));

    let clean = sample::results();
    let shape = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with(['|', '#', '-']))
            .count()
    };
    let expected = shape(&markdown(&clean, &[sample::decision(&clean)]));
    let text = markdown(&results, &[decision]);
    // One more note and its heading.
    assert_eq!(shape(&text), expected + 2, "{text}");
    assert!(!text.contains('\u{1b}'));
    // Only as code, within a fence that is longer than the one it holds.
    for (at, _) in text.match_indices("<script") {
        let line = text[..at].lines().last().expect("a line");
        assert_eq!(line.matches("``").count() % 2, 1, "{line}");
    }
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = text.lines().collect();
    for table in lines.chunk_by(|one, next| one.starts_with('|') == next.starts_with('|')) {
        let is_table = table[0].starts_with('|');
        let even = |line: &&str| columns(line) == columns(table[0]);
        assert!(!is_table || table.iter().all(even), "{table:#?}");
    }
}

#[test]
fn the_terminal_table_is_plain_and_says_everything() {
    let results = sample::results();
    let decision = sample::decision(&results);
    let text = terminal(std::slice::from_ref(&decision));
    let first = &decision.comparisons[1];
    assert_eq!((first.candidate.as_str(), first.pass), ("scc", 1));
    let gain = format!("{:.1} %", 100.0 * first.estimate.expect("measured").gain());
    let row = text
        .lines()
        .find(|line| line.starts_with("  scc  "))
        .expect("a row");
    let columns: Vec<&str> = row
        .split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect();
    assert_eq!(columns[..4], ["scc", "yes", "yes", &gain], "{row}");
    assert_eq!(columns[5], "REVISIT", "{row}");
    for expected in [
        "ADR-0003: DashMap for per-request phase state\n",
        "candidate  (a) stable-api  (b) bottleneck  gain    95 % interval",
        "  papaya: KEEP. (a) stable-api and (b) bottleneck say no.\n",
        "  scc: REVISIT. (a) stable-api and (b) bottleneck say yes.\n",
        "(a) stable-api: no. Cargo.lock has papaya 0.2.5, and 1.0.0 is asked for.\n",
        "tracked-requests: no. 1,200 tracked, below the ceiling of 8 shards x 512 = 4,096.\n",
        "shard-skew: not evaluated. The load of the shards was not measured.\n",
        "All 12 preconditions hold.\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(text.ends_with('\n'));
    let too_long = text.lines().find(|line| line.chars().count() > 100);
    assert_eq!(too_long, None);
}

#[test]
fn a_quick_run_says_nowhere_that_it_has_a_verdict() {
    let mut results = sample::results();
    results.mode = Mode::Quick;
    let decision = sample::decision(&results);
    let text = terminal(std::slice::from_ref(&decision));
    assert!(
        text.contains("scc: no verdict, since this was a quick run."),
        "{text}"
    );
    let page = html(&results, std::slice::from_ref(&decision));
    assert!(!page.contains("<strong>KEEP") && !page.contains("<strong>REVISIT"));
    for text in [text, markdown(&results, &[decision])] {
        for word in ["KEEP", "REVISIT"] {
            for (at, _) in text.match_indices(word) {
                assert!(text[..at].ends_with("would say "), "{text}");
            }
        }
    }
}

#[test]
fn a_section_repeats_byte_for_byte_and_changes_with_the_figures() {
    let results = sample::results();
    let again = Results::from_json(&results.to_json().expect("consistent")).expect("read back");
    let one = section(&results, &sample::decision(&results));
    assert_eq!(one, section(&again, &sample::decision(&again)));
    assert!(markdown(&results, &[sample::decision(&results)]).contains(&one));
    assert!(
        one.contains("`cargo xtask bench --adr 0003 --seed 5`"),
        "{one}"
    );
    let mut other = results;
    other.runs[0].blocks.truncate(20);
    assert_ne!(one, section(&other, &sample::decision(&other)));
}

#[test]
fn what_the_machine_cannot_show_depends_on_the_machine() {
    let said = |change: fn(&mut Results)| {
        let mut results = sample::results();
        change(&mut results);
        limits(&results).join("\n")
    };
    let two = said(|_| ());
    assert!(two.contains("has 2 cores") && two.contains("between 3 threads or more was not seen"));
    assert!(
        two.contains("More threads than cores ran in on-token/8"),
        "{two}"
    );
    assert!(
        two.contains("Above the 99th percentile, latency on 2 cores")
            && two.contains("virtual (kvm)")
    );
    assert!(said(|r| r.machine.cores = 1).contains("no two threads ever ran at once"));
    assert!(said(|r| r.machine.cores = 32).contains("between 33 threads or more"));
    assert!(!said(|r| r.latency.clear()).contains("percentile"));
    assert!(!said(|r| r.machine.virtualised = None).contains("virtual"));
    let many = said(|r| r.runs[2].cores_needed = 4);
    assert!(many.contains("on-token/2 would need more cores"), "{many}");
}

#[test]
fn several_records_stand_apart() {
    let results = sample::results();
    let text = CRITERIA.replace("record = \"0003\"", "record = \"0004\"");
    let other = Record::parse("c.toml", &text, KNOWN).expect("valid");
    let decisions = [
        sample::decision(&results),
        decide(&results, &other, &facts()),
    ];
    let page = page(&results, &decisions);
    assert!(page.ids.contains("record-0003") && page.ids.contains("record-0004"));
    let text = terminal(&decisions);
    assert!(text.contains("ADR-0003") && text.contains("ADR-0004"));
}
