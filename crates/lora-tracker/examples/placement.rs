//! Replays a log of events, one in JSON a line, and prints the view at its end: from a file that is named, else from the
//! sample beside this file; `-` reads what is piped in.
//!
//! ```text
//! cargo run -p lora-tracker --example placement --features serde -- events.jsonl
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use lora_tracker::{LoraEvent, LoraTracker, TrackerConfig, WorkerSlots};

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
        let event: LoraEvent =
            serde_json::from_str(&line).map_err(|error| format!("line {number}: {error}"))?;
        asked = event.lora_name().cloned().or(asked);
        if !tracker.apply(event)? {
            eprintln!("line {number} changes nothing");
        }
    }
    println!("{}", serde_json::to_string_pretty(&tracker.view())?);
    if let Some(name) = asked {
        let candidates = tracker.candidates(&name);
        let least = candidates.iter().min_by_key(|each| each.slots.loaded);
        let then = if candidates.are_loaded() {
            "has it"
        } else {
            "has to load it"
        };
        match least {
            Some(WorkerSlots { worker, .. }) => println!("{name} goes to {worker}, which {then}"),
            None => println!("{name} goes nowhere: no worker has a free slot"),
        }
    }
    Ok(())
}
