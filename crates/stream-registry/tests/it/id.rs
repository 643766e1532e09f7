//! Ids: one text each, no two alike, nothing to be guessed, and no whole one in a log.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;
use state_map::model::ReferenceMap;
use static_assertions::assert_impl_all;
use stream_registry::{
    Claim, ClaimError, Established, ParseStreamIdError, Registration, Rejected, StreamEntry,
    StreamError, StreamId, StreamKind, StreamReceiver, StreamRegistry, StreamRegistryConfig,
    StreamStats, Tombstoned,
};

type Map = ReferenceMap<StreamId, StreamEntry<u32>>;

assert_impl_all!(StreamId: Copy, Ord, std::hash::Hash, Send, Sync);
assert_impl_all!(StreamRegistry<std::cell::Cell<u32>, ReferenceMap<StreamId, StreamEntry<std::cell::Cell<u32>>>>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Registration<std::cell::Cell<u32>>: Send, Sync, Unpin, std::fmt::Debug);
assert_impl_all!(StreamReceiver<std::cell::Cell<u32>>: Send, Sync, Unpin, std::fmt::Debug);
assert_impl_all!(Claim<std::cell::Cell<u32>>: Send, Sync, std::fmt::Debug);
assert_impl_all!(Established<std::cell::Cell<u32>>: Send, Sync, std::fmt::Debug);
assert_impl_all!(StreamError: std::error::Error, Clone, Eq, Send, Sync);
assert_impl_all!(ClaimError: std::error::Error, Copy, Eq, Send, Sync);
assert_impl_all!(Rejected<u32>: std::error::Error, Send, Sync);
assert_impl_all!(Tombstoned: std::error::Error, Clone, Eq, Send, Sync);
assert_impl_all!(ParseStreamIdError: std::error::Error, Copy, Eq, Send, Sync);
assert_impl_all!(StreamStats: Copy, Eq, std::fmt::Debug, Send, Sync);
assert_impl_all!(StreamKind: Copy, Eq, std::hash::Hash, Send, Sync);

proptest! {
    #[test]
    fn text_and_bytes_round_trip(bytes: [u8; 16]) {
        let id = StreamId::from_bytes(bytes);
        prop_assert_eq!(id.to_bytes(), bytes);
        let text = id.to_string();
        prop_assert_eq!(text.len(), 36);
        prop_assert_eq!(text.parse::<StreamId>().unwrap(), id);
        let log = format!("{id:?}");
        prop_assert!(log.len() < 21);
    }

    #[test]
    fn no_other_text_is_an_id(text in "\\PC{0,40}") {
        if let Ok(id) = text.parse::<StreamId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}

#[test]
fn other_forms_of_a_uuid_are_refused() {
    for text in [
        "67e5504410b1426f9247bb680e5fe0c8",
        "{67e55044-10b1-426f-9247-bb680e5fe0c8}",
        "urn:uuid:67e55044-10b1-426f-9247-bb680e5fe0c8",
        "67E55044-10B1-426F-9247-BB680E5FE0C8",
        " 67e55044-10b1-426f-9247-bb680e5fe0c8",
        "",
    ] {
        let refused = ParseStreamIdError { len: text.len() };
        assert_eq!(text.parse::<StreamId>(), Err(refused));
    }
}

/// Each of the 122 bits that are drawn is set about half of the time; the others say that it is a random UUID.
#[test]
fn ids_are_drawn_at_random() {
    const DRAWN: usize = 4_096;
    let streams = Arc::new(StreamRegistry::with_map(
        StreamRegistryConfig::default(),
        Map::default(),
    ));
    let ids: HashSet<StreamId> = (0..DRAWN)
        .map(|_| streams.register(StreamKind::Response).id())
        .collect();
    assert_eq!(ids.len(), DRAWN, "an id came twice");
    let mut set = [0_usize; 128];
    for id in &ids {
        let bits = u128::from_be_bytes(id.to_bytes());
        for (bit, count) in set.iter_mut().enumerate() {
            *count += usize::from(bits >> (127 - bit) & 1 == 1);
        }
    }
    for (bit, count) in set.into_iter().enumerate() {
        let fixed = match bit {
            48 | 50 | 51 | 65 => Some(0),
            49 | 64 => Some(DRAWN),
            _ => None,
        };
        match fixed {
            Some(expected) => assert_eq!(count, expected, "bit {bit}"),
            // Ten standard deviations.
            None => assert!(
                count.abs_diff(DRAWN / 2) < 320,
                "bit {bit} was set {count} times"
            ),
        }
    }
}

#[test]
fn no_error_shows_a_whole_id() {
    let id: StreamId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
    let registered = StreamKind::Response;
    let texts = [
        ClaimError::Unknown { id }.to_string(),
        ClaimError::WrongKind { id, registered }.to_string(),
        ClaimError::AlreadyClaimed { id }.to_string(),
        ClaimError::Cancelled { id }.to_string(),
        format!("{:?}", ClaimError::Unknown { id }),
        Rejected { id, value: 7 }.to_string(),
        format!("{:?}", Rejected { id, value: 7 }),
    ];
    for text in texts {
        assert!(
            text.contains("67e55044") && !text.contains("10b1"),
            "{text}"
        );
    }
}
