//! Replays a log of events, one in JSON a line, and prints the snapshot at its end: from a file
//! that is named, else from the sample beside this file; `-` reads what is piped in.
//!
//! ```text
//! cargo run -p lora-tracker --example placement --features serde -- events.jsonl
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use lora_tracker::{LoraNews, LoraTracker, TrackerConfig};
use worker_id::Effect;

const SAMPLE: &[u8] = include_bytes!("placement.jsonl");

fn main() -> Result<(), Box<dyn Error>> {
    let log: Box<dyn BufRead> = match std::env::args().nth(1).as_deref() {
        None => Box::new(SAMPLE),
        Some("-") => Box::new(io::stdin().lock()),
        Some(path) => Box::new(BufReader::new(File::open(path)?)),
    };
    let tracker = LoraTracker::new(TrackerConfig::default());
    let mut asked = None;
    for (number, line) in (1..).zip(log.lines()) {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let news: LoraNews =
            serde_json::from_str(&line).map_err(|error| format!("line {number}: {error}"))?;
        asked = news.event.lora_name().cloned().or(asked);
        match tracker.apply(news)? {
            Effect::Changed => {}
            Effect::Unchanged => eprintln!("line {number} changes nothing"),
            Effect::Ignored(why) => eprintln!("line {number} is ignored: {why}"),
        }
    }
    let snapshot = tracker.snapshot();
    println!("{}", serde_json::to_string_pretty(&snapshot)?);
    if let Some(name) = asked {
        match snapshot.candidates(&name).first() {
            Some((tier, workers)) => {
                let least = workers.iter().min_by_key(|each| each.slots.loaded);
                let worker = least
                    .map(|each| each.worker)
                    .ok_or("a tier with nobody in it")?;
                println!("{name} goes to {worker}: {tier}");
            }
            None => println!("{name} goes nowhere: no worker can take it"),
        }
    }
    Ok(())
}
