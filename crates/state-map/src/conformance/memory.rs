//! What a burst leaves behind.

use super::{Backend, Meter};
use crate::{Shrink, StateMap};

/// The share of a burst's memory that a map may keep, as it documents: 1.0 is all of it.
#[derive(Clone, Copy, Debug)]
pub struct MemoryBounds {
    /// After all but a thousandth of the entries are gone.
    pub drained: f64,
    /// After a [`shrink`](StateMap::shrink) that answered [`Shrink::Done`]; not looked at
    /// otherwise.
    pub shrunk: f64,
}

/// About a small request state's worth of bytes.
struct Bulk(#[expect(dead_code, reason = "only its size counts")] [u64; 6]);

const BURST: u64 = 1_000_000;
const LEFT: u64 = 1_000;

/// 1,000,000 insertions, removals down to 1,000 entries, a shrink, and the end of the map: after
/// each, the bytes that are still allocated are within what the map documents. Prints them.
pub fn memory_after_a_burst_is_bounded<B: Backend>(meter: Meter, bounds: MemoryBounds) {
    let start = meter().live_bytes;
    let map = B::Map::<u64, Bulk>::default();
    for key in 0..BURST {
        assert!(map.access().insert_if_absent(key, Bulk([key; 6])).is_ok());
    }
    let peak = meter().live_bytes - start;
    let content = i64::try_from(BURST * size_of::<(u64, Bulk)>() as u64).unwrap_or(i64::MAX);
    assert!(
        peak >= content,
        "{peak} bytes cannot hold the burst: is the meter's allocator installed?"
    );

    for key in LEFT..BURST {
        assert!(map.access().remove(&key));
    }
    let drained = meter().live_bytes - start;
    let answer = map.shrink();
    let shrunk = meter().live_bytes - start;
    assert_eq!(map.len() as u64, LEFT, "shrinking removes nothing");
    drop(map);
    let dropped = meter().live_bytes - start;

    println!(
        "bytes: {peak} after {BURST} insertions ({} an entry), {drained} ({:.3}) when \
         drained to {LEFT}, {shrunk} ({:.3}) after shrink ({answer:?}), {dropped} ({:.4}) \
         after drop",
        peak / i64::try_from(BURST).unwrap_or(i64::MAX),
        share(drained, peak),
        share(shrunk, peak),
        share(dropped, peak),
    );
    let keeps = |what: &str, bytes: i64, bound: f64| {
        let share = share(bytes, peak);
        assert!(
            share <= bound,
            "{what}, the map keeps {share:.3} of the burst's memory, over its {bound}"
        );
    };
    keeps("drained", drained, bounds.drained);
    if answer == Shrink::Done {
        keeps("shrunk", shrunk, bounds.shrunk);
    }
    keeps("dropped", dropped, 0.01);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share to three digits, of some hundred megabytes"
)]
fn share(bytes: i64, of: i64) -> f64 {
    bytes as f64 / of as f64
}
