//! Where things are on the server: the names of keys.
//!
//! # Design
//!
//! | key | type | holds |
//! |---|---|---|
//! | `{prefix:bucket}:s:NAME` | text, with the pin's expiry | the record of the pin |
//! | `{prefix:bucket}:x` | sorted set | the engine-backed bindings, by when to look at them |
//! | `{prefix:bucket}:g` | text | the newest generation |
//! | `{prefix}:layout` | text | the version of this table, and how many buckets there are |
//!
//! NAME is the key's canonical text, whatever bytes it has. What stands in braces decides the slot in a cluster, so all that
//! one script touches lies in one.

use affinity::SessionKey;

/// Version 1 of the table above.
const LAYOUT: u32 = 1;

/// The keys of one deployment.
#[derive(Clone, Debug)]
pub(crate) struct Keyspace {
    prefix: String,
    buckets: u16,
}

/// A session's place.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) name: SessionKey,
    pub(crate) bucket: u16,
    pub(crate) pin: String,
}

impl Keyspace {
    pub(crate) fn new(prefix: &str, buckets: u16) -> Self {
        Self {
            prefix: prefix.to_owned(),
            buckets,
        }
    }

    pub(crate) fn buckets(&self) -> u16 {
        self.buckets
    }

    pub(crate) fn place(&self, name: SessionKey) -> Place {
        let hash = fnv1a(name.canonical().as_bytes()) % u64::from(self.buckets);
        // Below `buckets`, which is a u16.
        let bucket = u16::try_from(hash).unwrap_or_default();
        let pin = format!("{{{}:{bucket}}}:s:{}", self.prefix, name.canonical());
        Place { name, bucket, pin }
    }

    pub(crate) fn index(&self, bucket: u16) -> String {
        format!("{{{}:{bucket}}}:x", self.prefix)
    }

    pub(crate) fn newest(&self, bucket: u16) -> String {
        format!("{{{}:{bucket}}}:g", self.prefix)
    }

    pub(crate) fn layout_key(&self) -> String {
        format!("{{{}}}:layout", self.prefix)
    }

    /// What [`layout_key`](Self::layout_key) holds.
    pub(crate) fn layout(&self) -> String {
        format!("version {LAYOUT}, {} buckets", self.buckets)
    }
}

/// FNV-1a, 64 bits: every router, of whatever version, has to find the same bucket, so no hasher of a library that may
/// change.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_session_stays_where_released_versions_put_it() {
        let name = SessionKey::new("chat-17").expect("a key");
        let place = Keyspace::new("p", 16).place(name);
        assert_eq!(place.pin, "{p:10}:s:\0\0\0\0chat-17");
    }

    #[test]
    fn every_bucket_is_used() {
        let keys = Keyspace::new("p", 16);
        let mut counts = [0_u32; 16];
        for session in 0..16_000 {
            let name = SessionKey::new(&format!("chat-{session}")).expect("a key");
            counts[usize::from(keys.place(name).bucket)] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }
}
