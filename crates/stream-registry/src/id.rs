//! The name of a stream, which is also the right to claim it.
//!
//! 1. Whoever knows an id may claim its stream: ids come from the thread's ChaCha generator, and
//!    cannot be guessed from other ids.
//! 2. An id that this crate makes is never made again, but with a probability of 2^-122 a pair.
//! 3. `Debug` and the errors show a quarter of it: logs must not hand out the right to claim.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use uuid::Uuid;

use crate::ParseStreamIdError;

/// The id of a stream: 128 bits, of which 122 are random where a registry made it.
///
/// **A secret while its stream waits to be claimed**: whoever has it may claim the stream. `Debug`
/// shows its first eight digits, `Display` all of it.
///
/// # Text
///
/// A UUID in lower case with hyphens. [`FromStr`] accepts exactly what `Display` writes.
///
/// # Cost
///
/// 16 bytes, `Copy`. A hash is one `write_u64`. Use a hasher that mixes.
///
/// ```
/// use stream_registry::StreamId;
///
/// let id: StreamId = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse()?;
/// assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
/// assert_eq!(format!("{id:?}"), "StreamId(67e55044..)");
/// # Ok::<(), stream_registry::ParseStreamIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct StreamId(Uuid);

impl StreamId {
    /// The id with these bytes, as they travel in a handshake.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Its bytes, as they travel in a handshake.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    pub(crate) fn random() -> Self {
        Self(uuid::Builder::from_random_bytes(rand::random()).into_uuid())
    }
}

impl Hash for StreamId {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        // 62 random bits of a random id. Only ids of a registry's own making enter its map.
        state.write_u64(self.0.as_u64_pair().1);
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({:08x}..)", self.0.as_fields().0)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            self.0
                .as_hyphenated()
                .encode_lower(&mut Uuid::encode_buffer()),
        )
    }
}

impl FromStr for StreamId {
    type Err = ParseStreamIdError;

    /// # Errors
    ///
    /// [`ParseStreamIdError`], for whatever `Display` does not write.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .ok()
            .filter(|id| id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text)
            .map(Self)
            .ok_or(ParseStreamIdError { len: text.len() })
    }
}

/// Text where a person may read it, else 16 bytes.
#[cfg(feature = "serde")]
impl serde::Serialize for StreamId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.to_bytes().serialize(serializer)
        }
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for StreamId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self::from_bytes)
        }
    }
}
