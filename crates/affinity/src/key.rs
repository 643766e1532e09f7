//! What a pin belongs to: a session, in a scope.
//!
//! # Design
//!
//! [`SessionRef`] borrows its parts and is what lookups take. [`SessionKey`] owns one text of all of them, in the one
//! canonical form that there is: four ASCII characters that say which parts there are and how long, then tenant, model and
//! session. A borrowed key is hashed as that text without making it, so that a lookup allocates nothing.
//!
//! # Why
//!
//! - *Lengths, not separators*: a session id comes from a client, and may have any character in it. With separators it
//!   could name another tenant's scope.
//! - *One text, not four*: a key is one allocation, and as short as a text of its id alone in most allocators.
//! - *A name, not only its fingerprint*: maps are searched by fingerprints, see `fingerprint.rs`, but whoever hears of an
//!   expired session wants its name.
//!
//! # Invariants
//!
//! Two keys are equal exactly if their canonical texts are, exactly if their parts are. An absent part equals no part that
//! is there, not an empty one either.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::StoreError;

/// Which half of a disaggregated request a pin is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Leg {
    /// The worker that reads the prompt.
    Prefill,
    /// The worker that generates.
    Decode,
}

impl fmt::Display for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        })
    }
}

/// A session in a scope, borrowed: what every lookup takes.
///
/// Keys that differ in any part are strangers to each other: two tenants, two models or two legs may use one session id,
/// and none ever sees, evicts or replaces the other's pin. `None` is a scope of its own.
///
/// ```
/// use affinity::{Leg, SessionRef};
///
/// let plain = SessionRef::from("chat-17");
/// let scoped = SessionRef::new("chat-17").tenant("acme").model("llama").leg(Leg::Decode);
/// assert_ne!(plain, scoped);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SessionRef<'a> {
    /// Who the session belongs to, where there are several.
    pub tenant: Option<&'a str>,
    /// Which model the pin is for.
    pub model: Option<&'a str>,
    /// Which half of a disaggregated request the pin is for.
    pub leg: Option<Leg>,
    /// The session's id, as its client or the gateway named it. Not empty.
    pub session: &'a str,
}

impl<'a> SessionRef<'a> {
    /// A session in no tenant, model or leg.
    pub const fn new(session: &'a str) -> Self {
        Self {
            tenant: None,
            model: None,
            leg: None,
            session,
        }
    }

    /// The same session, of this tenant.
    pub const fn tenant(self, tenant: &'a str) -> Self {
        Self {
            tenant: Some(tenant),
            ..self
        }
    }

    /// The same session, for this model.
    pub const fn model(self, model: &'a str) -> Self {
        Self {
            model: Some(model),
            ..self
        }
    }

    /// The same session, for this leg.
    pub const fn leg(self, leg: Leg) -> Self {
        Self {
            leg: Some(leg),
            ..self
        }
    }

    /// The bytes of all parts together, which stores limit.
    #[expect(
        clippy::len_without_is_empty,
        reason = "an empty session is no key, and `check` says so"
    )]
    #[must_use]
    pub const fn len(&self) -> usize {
        part_len(self.tenant) + part_len(self.model) + self.session.len()
    }

    /// Whether a store that limits keys to `max` bytes takes this one. Every operation of a store begins with this.
    ///
    /// # Errors
    ///
    /// [`StoreError::EmptySession`]; [`StoreError::KeyTooLong`] above `max`, or above [`SessionKey::MAX_LEN`].
    #[inline]
    pub fn check(&self, max: usize) -> Result<(), StoreError> {
        let (len, max) = (self.len(), max.min(SessionKey::MAX_LEN));
        if self.session.is_empty() {
            Err(StoreError::EmptySession)
        } else if len > max {
            Err(StoreError::KeyTooLong { len, max })
        } else {
            Ok(())
        }
    }

    /// The session, where it is all there is.
    #[inline]
    pub(crate) fn alone(&self) -> Option<&'a str> {
        let scoped = self.tenant.is_some() || self.is_scoped();
        (!scoped).then_some(self.session)
    }

    /// The same session of the same tenant, where this one has a model or a leg besides.
    #[inline]
    pub(crate) fn scope_removed(&self) -> Option<Self> {
        self.is_scoped().then_some(Self {
            model: None,
            leg: None,
            ..*self
        })
    }

    #[inline]
    const fn is_scoped(&self) -> bool {
        self.model.is_some() || self.leg.is_some()
    }

    /// Which parts there are besides the session, and how long.
    fn shape(&self) -> [u8; SHAPE_LEN] {
        let leg = match self.leg {
            None => 0,
            Some(Leg::Prefill) => 1,
            Some(Leg::Decode) => 2,
        };
        let bits = leg | shape_of(self.tenant) << TENANT | shape_of(self.model) << MODEL;
        spread(bits).to_le_bytes()
    }

    /// The parts in the order in which the text has them.
    fn parts(&self) -> impl Iterator<Item = &'a str> {
        let scope = self.tenant.into_iter().chain(self.model);
        scope.chain([self.session])
    }
}

/// Where in the shape the length of the tenant is, and where that of the model: 13 bits each, 0 for none. Below is the leg.
const TENANT: u32 = 2;
const MODEL: u32 = 15;

/// The characters before the parts, seven bits of the shape in each.
const SHAPE_LEN: usize = 4;

/// The 28 bits of a shape as the characters that they are written in, the low ones first.
#[inline]
const fn spread(bits: u32) -> u32 {
    bits & 0x7f | (bits & 0x3f80) << 1 | (bits & 0x1f_c000) << 2 | (bits & 0xfe0_0000) << 3
}

#[inline]
const fn gather(shape: u32) -> u32 {
    shape & 0x7f | shape >> 1 & 0x3f80 | shape >> 2 & 0x1f_c000 | shape >> 3 & 0xfe0_0000
}

/// The length of a part, and one; 0 where there is none.
#[inline]
const fn shape_at(shape: u32, part: u32) -> u32 {
    gather(shape) >> part & 0x1fff
}

/// The shape at the beginning of a text; 0 if it is shorter, which no key is.
#[inline]
fn shape_of_text(text: &[u8]) -> u32 {
    text.first_chunk::<SHAPE_LEN>()
        .map_or(0, |shape| u32::from_le_bytes(*shape))
}

const fn part_len(part: Option<&str>) -> usize {
    match part {
        Some(part) => part.len(),
        None => 0,
    }
}

/// Of a part longer than any store takes, as of the longest that has a shape.
fn shape_of(part: Option<&str>) -> u32 {
    part.map_or(0, |part| {
        u32::try_from(part.len() + 1).map_or(0x1fff, |len| len.min(0x1fff))
    })
}

impl<'a> From<&'a str> for SessionRef<'a> {
    fn from(session: &'a str) -> Self {
        Self::new(session)
    }
}

impl<'a> From<&'a String> for SessionRef<'a> {
    fn from(session: &'a String) -> Self {
        Self::new(session)
    }
}

impl<'a> From<&'a SessionKey> for SessionRef<'a> {
    fn from(key: &'a SessionKey) -> Self {
        key.as_ref()
    }
}

/// As its canonical text, without making it: the shape first, which says the lengths of all that follow. So no two keys hash
/// the same bytes.
impl Hash for SessionRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.shape());
        self.parts().for_each(|part| state.write(part.as_bytes()));
    }
}

/// `session`, then in brackets what there is of a scope: `chat-17 [tenant acme, model llama, decode]`. For people:
/// [`SessionKey::canonical`] is what parses.
impl fmt::Display for SessionRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.session.escape_debug())?;
        let mut between = " [";
        for (name, part) in [("tenant", self.tenant), ("model", self.model)] {
            if let Some(part) = part {
                write!(f, "{between}{name} {}", part.escape_debug())?;
                between = ", ";
            }
        }
        if let Some(leg) = self.leg {
            write!(f, "{between}{leg}")?;
            between = ", ";
        }
        f.write_str(if between == ", " { "]" } else { "" })
    }
}

/// A session in a scope, owned. Clones share one text.
///
/// 16 bytes and one allocation of the canonical text, four bytes longer than the parts together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct SessionKey(Arc<str>);

impl SessionKey {
    /// The most bytes that tenant, model and session may have together: 8,190. Stores allow less, 256 by default.
    pub const MAX_LEN: usize = (1 << 13) - 2;

    /// An owned copy.
    ///
    /// # Errors
    ///
    /// As [`SessionRef::check`] with [`MAX_LEN`](Self::MAX_LEN).
    pub fn new<'a>(key: impl Into<SessionRef<'a>>) -> Result<Self, StoreError> {
        let key = key.into();
        key.check(Self::MAX_LEN)?;
        let mut text = String::with_capacity(SHAPE_LEN + key.len());
        text.extend(key.shape().map(char::from));
        text.extend(key.parts());
        Ok(Self(text.into()))
    }

    /// The one text of this key, to use as a key elsewhere; [`from_canonical`](Self::from_canonical) takes it back. Has
    /// characters that are not to be printed.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.0
    }

    /// The key with this [canonical](Self::canonical) text; `None` if no key has it.
    #[must_use]
    pub fn from_canonical(text: &str) -> Option<Self> {
        let again = Self::new(parse(text)?).ok()?;
        (*again.0 == *text).then_some(again)
    }

    /// This key, borrowed.
    #[inline]
    pub fn as_ref(&self) -> SessionRef<'_> {
        // What was built from parts parses: the fallback is no key that a store takes.
        parse(&self.0).unwrap_or(SessionRef::new(""))
    }
}

#[inline]
fn parse(text: &str) -> Option<SessionRef<'_>> {
    let (digits, mut parts) = text.split_at_checked(SHAPE_LEN)?;
    let shape = shape_of_text(digits.as_bytes());
    let mut part = |part| {
        let Some(len) = shape_at(shape, part).checked_sub(1) else {
            return Some(None);
        };
        let (part, rest) = parts.split_at_checked(len as usize)?;
        parts = rest;
        Some(Some(part))
    };
    let (tenant, model) = (part(TENANT)?, part(MODEL)?);
    let leg = match shape & 3 {
        0 => None,
        1 => Some(Leg::Prefill),
        2 => Some(Leg::Decode),
        _ => return None,
    };
    Some(SessionRef {
        tenant,
        model,
        leg,
        session: parts,
    })
}

impl TryFrom<SessionRef<'_>> for SessionKey {
    type Error = StoreError;

    fn try_from(key: SessionRef<'_>) -> Result<Self, StoreError> {
        Self::new(key)
    }
}

impl Hash for SessionKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}
