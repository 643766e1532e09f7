//! What a run leaves behind: `verdict.md`, `report.html`, and the verdicts on the terminal.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use verdict::schema::Results;
use verdict::{Decision, render};

pub(crate) fn write(out: &Path, results: &Results, decisions: &[Decision]) -> Result<()> {
    let put = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    put("verdict.md", render::markdown(results, decisions))?;
    put("report.html", render::html(results, decisions))?;
    println!("\n{}", render::terminal(decisions));
    println!("report: {}", out.join("report.html").display());
    Ok(())
}
