//! What is rendered: well formed, self-contained, escaped, and in the words of the decision.

use std::fs;
use std::sync::OnceLock;

use verdict::analysis::Analysis;
use verdict::render::{html, limits, line, markdown, section, terminal};
use verdict::schema::{Mode, Results};
use verdict::states::{Boundary, State};
use verdict::{Decision, Facts, decide};

use crate::exact::{decided, of, says, step, void};
use crate::markup::{self, Page};
use crate::sample;

type Answered = (Results, Vec<Decision>);

/// Near lines alone; then both states. Written where people can look at them in a browser.
fn samples() -> &'static [Answered; 2] {
    static SAMPLES: OnceLock<[Answered; 2]> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        [("near", 0.0), ("both", 0.5)].map(|(name, far)| {
            let results = sample::measured(far);
            let decisions = sample::decisions(&results);
            let path = format!("{}/{name}.html", env!("CARGO_TARGET_TMPDIR"));
            fs::write(path, html(&results, &decisions)).expect("the folder for tests is writable");
            (results, decisions)
        })
    })
}

fn page(results: &Results, decisions: &[Decision]) -> Page {
    let text = html(results, decisions);
    markup::check(&text).unwrap_or_else(|fault| panic!("{fault}\n{text}"))
}

#[test]
fn the_page_is_well_formed_and_refers_to_nothing_outside() {
    for ((results, decisions), drawings) in samples().iter().zip([8, 15]) {
        let page = page(results, decisions);
        assert!(page.references.is_empty(), "{:?}", page.references);
        assert_eq!(page.drawings, drawings, "one for each scenario and state");
        for section in [
            "limits", "repeat", "record-0", "record-4", "others", "about",
        ] {
            assert!(page.ids.contains(section), "no {section}");
        }
    }
}

#[test]
fn the_first_screen_has_the_verdicts_the_limits_and_the_command() {
    let (results, decisions) = &samples()[0];
    let text = html(results, decisions);
    let first = &text[..text.find("<h2 id=\"record-0\">").expect("records below")];
    for said in [
        "<h1>5 records, 10 of 10 KEEP</h1>",
        "Lines travel in 21 ns (near); far not seen. Valid for that, for 2 cores of Synthetic CPU, \
         and for dashmap 6.2.1, papaya 0.2.5, scc 3.8.8.",
        "<code>cargo xtask bench --seed 5</code> (seed 5)",
        "Contention between 3 threads or more",
        "<li>Record 0007 was stopped after 90 s.</li>",
    ] {
        assert!(first.contains(said), "{said:?} is not in\n{first}");
    }
    assert_eq!(first.matches("<tr>").count(), 11, "a head and ten rows");
    // The worst of 0007 is as visible as its best.
    let of_papaya = |gating: &str| first.lines().find(|line| line.contains(gating));
    let row = of_papaya("%] router-churn").expect("a row");
    assert!(
        row.contains("%] router-lookup") && row.contains("<th scope=\"row\">0007 papaya</th>"),
        "{row}"
    );
    // KEEP is folded.
    assert!(!text.contains("<details class=\"card keep\" open"));
    assert_eq!(text.matches("<details class=\"card keep\">").count(), 10);
}

#[test]
fn a_far_state_is_reported_as_such() {
    let (results, decisions) = &samples()[1];
    let text = terminal(decisions, results);
    assert!(
        text.contains("Lines travel in 21 ns (near) and 196 ns (far)."),
        "{text}"
    );
    assert!(text.contains("%] serving-loop, far "), "{text}");
    let run = decided(vec![step(12, 1.0, 0.8)]);
    assert!(terminal(&[run], &of(vec![])).contains("1 of 2 REVISIT, 1 of 2 KEEP"));
    let page = html(results, decisions);
    assert!(page.contains("chart-1-near-t") && page.contains("chart-1-far-t"));
}

#[test]
fn a_settled_candidate_is_one_line() {
    let decision = decided(vec![step(12, 1.0, 0.8)]);
    let lines = [0, 1].map(|index| line(&decision, &decision.candidates[index]));
    let near = "for lines that travel in 21 ns (near); far not seen. At best";
    let (both, kept) = (
        "(a) stable-api and (b) bottleneck say",
        "0.0 % [-0.2 to 0.3 %] decode",
    );
    says(
        &lines[0],
        &format!("0003 papaya: KEEP. {both} no, {near} {kept}"),
    );
    says(
        &lines[1],
        &format!("0003 scc: REVISIT. {both} yes, {near} +20.0 % ["),
    );
}

#[test]
fn the_terminal_ends_in_a_line_a_candidate() {
    let (results, decisions) = &samples()[0];
    let text = terminal(decisions, results);
    let lines = Vec::from_iter(text.lines());
    let (above, table) = lines.split_at(lines.len() - 11);
    says(
        above[above.len() - 1],
        "5 records, 10 of 10 KEEP. Lines travel in 21 ns",
    );
    let cells = |line: &&str| {
        let cells = line.split("  ").map(str::trim).map(str::to_owned);
        Vec::from_iter(cells.filter(|cell| !cell.is_empty()))
    };
    let rows = Vec::from_iter(table.iter().map(cells));
    assert_eq!(
        rows[0],
        ["candidate", "verdict", "best gating scenario", "worst"]
    );
    let kept = |row: &Vec<String>| row.len() == 4 && row[1] == "KEEP";
    assert!(rows[1..].iter().all(kept), "{text}");
    // What is open says why, above.
    let text = terminal(&[decided(vec![step(7, 1.0, 1.0)])], &of(vec![]));
    assert!(
        text.starts_with("0003 scc: INCONCLUSIVE. The measurement may not"),
        "{text}"
    );
    says(
        &text,
        "  (b) bottleneck: open. Near: open, decode-step 0.0 % [not bounded yet",
    );
    let mut prose = text.lines().filter(|line| !line.contains("] decode-step"));
    assert!(prose.all(|line| line.chars().count() <= 100), "{text}");
}

/// The times of a table and its gains say the same: the incumbent's time, times the ratio.
#[test]
fn times_agree_with_gains() {
    let (results, decisions) = &samples()[0];
    let boundary = Boundary::of(&results.pilots);
    let text = section(results, &decisions[0]);
    let mut rows = 0;
    for run in &results.runs[..2] {
        let analysis = Analysis::new(run, boundary);
        let incumbent = analysis.nanos_per_op(State::Near).expect("measured");
        for (index, arm) in run.arms.iter().enumerate() {
            let estimate = analysis.estimate(index, State::Near).expect("measured");
            let nanos = format!("{:.1}", incumbent * (1.0 - estimate.gain));
            let row = |line: &&str| {
                line.starts_with(&format!("| {} |", arm.name)) && line.contains(&nanos)
            };
            rows += usize::from(text.lines().any(|line| row(&line)));
        }
    }
    assert_eq!(rows, 16, "{text}");
}

const HOSTILE: &str = "<script src=//x>'\"&|`*_\u{1b}[2J\n# x\u{7}";

/// Every text of the results and the records replaced by one that means something in every format.
fn hostile() -> Answered {
    let mut text = samples()[1].0.to_json().expect("consistent");
    for part in [
        "2026-11-27",
        "cargo xtask",
        "0123456789ab",
        "Synthetic",
        "Linux",
        "rustc",
        "kvm",
        "one token",
        "6.2.1",
        "rwlock",
        "no-map",
        "on-token",
        "Record 0007",
    ] {
        assert!(text.contains(part), "{part}");
        let hostile = serde_json::to_string(HOSTILE).expect("a text");
        let hostile = format!("{part}{}", hostile.trim_matches('"'));
        text = text.replace(part, &hostile);
    }
    let mut results = Results::from_json(&text).expect("as consistent");
    results.runs[0].blocks[2].cells[3] = void(HOSTILE);
    let decide = |mut record: verdict::Record| {
        record.title.push_str(HOSTILE);
        record.number.push_str(HOSTILE);
        decide(&results, &record, &Facts::default())
    };
    let decisions = sample::records().into_iter().map(decide).collect();
    (results, decisions)
}

#[test]
fn text_from_data_stays_text() {
    let (results, decisions) = hostile();
    let text = html(&results, &decisions);
    assert!(!text.contains("<script") && !text.contains('\u{1b}'));
    assert!(text.contains("&lt;script src=//x&gt;&#39;&quot;&amp;"));
    assert!(page(&results, &decisions).references.is_empty());

    let text = line(&decisions[0], &decisions[0].candidates[0]);
    let text = text + &terminal(&decisions, &results);
    assert!(text.contains("<script") && !text.contains('\u{1b}') && !text.contains('\u{7}'));

    let text = markdown(&results, &decisions);
    assert!(!text.contains('\u{1b}'));
    // Only as code, within a fence that is longer than the one it holds.
    for (at, _) in text.match_indices("<script") {
        let line = text[..at].lines().last().expect("a line");
        assert_eq!(line.matches("``").count() % 2, 1, "{line}");
    }
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = text.lines().collect();
    for table in lines.chunk_by(|one, next| one.starts_with('|') == next.starts_with('|')) {
        let even = |line: &&str| columns(line) == columns(table[0]);
        assert!(
            !table[0].starts_with('|') || table.iter().all(even),
            "{table:#?}"
        );
    }
}

#[test]
fn a_quick_run_says_nowhere_that_it_has_a_verdict() {
    let mut results = of(vec![step(12, 1.0, 0.8)]);
    results.mode = Mode::Quick;
    let decision = decide(&results, &crate::world::record(), &crate::world::facts());
    let decisions = std::slice::from_ref(&decision);
    let mut texts = vec![line(&decision, &decision.candidates[1])];
    texts.extend([terminal(decisions, &results), markdown(&results, decisions)]);
    texts.push(html(&results, decisions));
    for text in texts {
        for word in ["KEEP", "REVISIT"] {
            for (at, _) in text.match_indices(word) {
                assert!(text[..at].ends_with("would say "), "{text}");
            }
        }
    }
}

#[test]
fn a_section_repeats_byte_for_byte_and_changes_with_the_figures() {
    let (results, decisions) = &samples()[0];
    let again = Results::from_json(&results.to_json().expect("consistent")).expect("read back");
    let one = section(results, &decisions[0]);
    assert_eq!(one, section(&again, &sample::decisions(&again)[0]));
    assert!(markdown(results, decisions).contains(&one));
    assert!(one.contains("`cargo xtask bench --seed 5`"), "{one}");
    let mut other = results.clone();
    other.runs[0].blocks.pop();
    assert_ne!(one, section(&other, &sample::decisions(&other)[0]));
}

#[test]
fn nothing_measured_is_a_page_too() {
    let empty = of(vec![]);
    page(&empty, &[]);
    let decision = decided(vec![]);
    page(&empty, std::slice::from_ref(&decision));
    assert!(markdown(&empty, &[decision]).contains("there is no run of it"));
}

#[test]
fn what_the_run_could_not_see_depends_on_the_machine() {
    let said = |change: fn(&mut Results)| {
        let mut results = samples()[0].0.clone();
        change(&mut results);
        limits(&results).join("\n")
    };
    let two = said(|_| ());
    says(&two, "between 3 threads or more");
    says(&two, "How on-token/8 would scale");
    says(&two, "the same host (kvm)");
    says(&two, "far not seen");
    says(&said(|r| r.machine.cores = 1), "no two threads ran at once");
    says(
        &said(|r| r.machine.cores = 32),
        "between 33 threads or more",
    );
    assert!(!said(|r| r.machine.virtualised = None).contains("neighbours"));
    let many = said(|r| r.runs[2].cores_needed = 4);
    says(&many, "What stream-request is about: it needs more cores");
}
