//! A binding as text, as it lies on the server.
//!
//! # Design
//!
//! The record of a pin is `GENERATION KIND WORKER`: `1763655125000123 e 7:0@42`. KIND is `r` (router only) or `e` (engine
//! backed), WORKER as it displays, so that equal texts are equal workers, incarnations included. A member of the index is
//! `RECORD NAME`: all that is to be told of a binding when its pin is gone.

use affinity::{Binding, BindingKind, SessionKey};
use thiserror::Error;
use worker_id::WorkerWithDpRank;

/// What lies on the server is not what this crate writes.
#[derive(Debug, Error)]
#[error(
    "{found:?} is no pin of this store: something else writes to its keys; give each its own prefix"
)]
pub(crate) struct Foreign {
    found: String,
}

/// What a script makes a record of, in front of which it puts the generation.
pub(crate) fn target(worker: WorkerWithDpRank, kind: BindingKind) -> String {
    let kind = match kind {
        BindingKind::RouterOnly => 'r',
        BindingKind::EngineBacked => 'e',
    };
    format!("{kind} {worker}")
}

pub(crate) fn binding(record: &[u8]) -> Result<Binding, Foreign> {
    let text = str::from_utf8(record).ok();
    text.and_then(parse).ok_or_else(|| Foreign {
        found: String::from_utf8_lossy(&record[..record.len().min(64)]).into_owned(),
    })
}

/// A member of the index.
pub(crate) fn member(member: &[u8]) -> Option<(SessionKey, Binding)> {
    let text = str::from_utf8(member).ok()?;
    // Of the three words before it none has a space; a name may.
    let (end, _) = text.match_indices(' ').nth(2)?;
    let name = SessionKey::from_canonical(&text[end + 1..])?;
    Some((name, parse(&text[..end])?))
}

fn parse(record: &str) -> Option<Binding> {
    let mut words = record.split(' ');
    let generation = words.next()?.parse().ok()?;
    let kind = match words.next()? {
        "r" => BindingKind::RouterOnly,
        "e" => BindingKind::EngineBacked,
        _ => return None,
    };
    let worker = words.next()?.parse().ok()?;
    words.next().is_none().then_some(Binding {
        worker,
        kind,
        generation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let worker = WorkerWithDpRank::new(u64::MAX, u32::MAX).with_incarnation(u64::MAX);
        for kind in [BindingKind::RouterOnly, BindingKind::EngineBacked] {
            for worker in [worker, WorkerWithDpRank::new(0, 0)] {
                let record = format!("{} {}", u64::MAX, target(worker, kind));
                let read = binding(record.as_bytes()).expect("a record");
                assert!(read.worker.same_incarnation(&worker));
                assert_eq!((read.kind, read.generation), (kind, u64::MAX));

                let name = SessionKey::new(" a b \n\0é ").expect("a key");
                let text = format!("{record} {}", name.canonical());
                assert_eq!(member(text.as_bytes()), Some((name, read)));
            }
        }
    }

    #[test]
    fn what_is_not_is_refused() {
        for record in [
            &b""[..],
            b"1",
            b"1 e",
            b"1 e 7",
            b"1 x 7:0",
            b"-1 e 7:0",
            b"1 e 7:0 ",
            b"1 e 7:0 more",
            b"1  e 7:0",
            b"\xff",
        ] {
            assert!(binding(record).is_err(), "{record:?}");
            assert_eq!(member(record), None, "{record:?}");
        }
        assert_eq!(member(b"1 e 7:0 no-shape"), None);
    }
}
