//! What a pin belongs to: a session, in a scope.
//!
//! # Design
//!
//! [`SessionRef`] borrows its parts and is what lookups take. [`SessionKey`] owns one text of all of them, in the one
//! canonical form that there is: four ASCII characters that say which parts there are and how long, then tenant, model and
//! session. Both come apart into the same [`Parts`], which hash and compare, so that a map is searched by reference and
//! nothing is allocated.
//!
//! # Why
//!
//! - *Lengths, not separators*: a session id comes from a client, and may have any character in it. With separators it
//!   could name another tenant's scope.
//! - *One text, not four*: a key is one allocation, and as short as a text of its id alone in most allocators.
//! - *The text, not a fingerprint of it*: whoever hears of an expired session wants its name.
//!
//! # Invariants
//!
//! Two keys are equal exactly if their canonical texts are, exactly if their parts are. An absent part equals no part that
//! is there, not an empty one either.

use std::cmp::Ordering;
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

    #[inline]
    pub(crate) fn parts(&self) -> Parts<'a> {
        let leg = match self.leg {
            None => 0,
            Some(Leg::Prefill) => 1,
            Some(Leg::Decode) => 2,
        };
        Parts {
            shape: leg | shape_of(self.tenant) << 2 | shape_of(self.model) << 15,
            tenant: self.tenant.unwrap_or_default().as_bytes(),
            model: self.model.unwrap_or_default().as_bytes(),
            session: self.session.as_bytes(),
        }
    }
}

/// A key, taken apart: the one form that is hashed, compared and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// Which parts there are and how long, in 28 bits: two of the leg, and 13 each of tenant and model, where 0 is none.
    shape: usize,
    tenant: &'a [u8],
    model: &'a [u8],
    session: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Of what [`write`](Self::write) wrote.
    ///
    /// Without a check of every length: of a text that was not, the parts are no key's.
    #[inline]
    pub(crate) fn of(text: &'a [u8]) -> Self {
        let (digits, rest) = text.split_at(text.len().min(SHAPE_LEN));
        let shape = digits
            .iter()
            .rev()
            .fold(0, |shape, digit| shape << 7 | usize::from(*digit));
        let len = |bits: usize| (shape >> bits & 0x1fff).saturating_sub(1);
        let (tenant, rest) = rest.split_at(len(2).min(rest.len()));
        let (model, session) = rest.split_at(len(15).min(rest.len()));
        Self {
            shape,
            tenant,
            model,
            session,
        }
    }

    /// The canonical text: the shape, seven bits a character, then the parts.
    pub(crate) fn write(&self) -> Vec<u8> {
        let len = self.tenant.len() + self.model.len() + self.session.len();
        let mut text = Vec::with_capacity(SHAPE_LEN + len);
        text.extend(
            (0..SHAPE_LEN).map(|digit| (self.shape >> (7 * digit)).to_le_bytes()[0] & 0x7f),
        );
        for part in [self.tenant, self.model, self.session] {
            text.extend_from_slice(part);
        }
        text
    }

    /// All of one session of one tenant sort next to each other, and come in this order only with its scopes.
    pub(crate) fn owner(&self) -> (bool, &'a [u8], &'a [u8]) {
        (self.shape >> 2 & 0x1fff > 0, self.tenant, self.session)
    }
}

/// One number, which says the lengths, and then the bytes: no two keys hash the same sequence.
impl Hash for Parts<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.shape);
        for part in [self.tenant, self.model] {
            if !part.is_empty() {
                state.write(part);
            }
        }
        state.write(self.session);
    }
}

/// By tenant, then session, then scope.
impl Ord for Parts<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.owner()
            .cmp(&other.owner())
            .then_with(|| self.shape.cmp(&other.shape))
            .then_with(|| self.model.cmp(other.model))
    }
}

impl PartialOrd for Parts<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

const fn part_len(part: Option<&str>) -> usize {
    match part {
        Some(part) => part.len(),
        None => 0,
    }
}

const fn shape_of(part: Option<&str>) -> usize {
    match part {
        Some(part) => part.len() + 1,
        None => 0,
    }
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

/// As its canonical text, without making it.
impl Hash for SessionRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
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

/// The characters before the parts, seven bits of the shape in each.
const SHAPE_LEN: usize = 4;

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
        Ok(Self::of_bytes(&key.parts().write()))
    }

    /// Of the bytes of a canonical text.
    pub(crate) fn of_bytes(text: &[u8]) -> Self {
        // They are the bytes of texts, so nothing is ever replaced here.
        Self(String::from_utf8_lossy(text).into())
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
    let shape = digits
        .bytes()
        .rev()
        .fold(0, |shape, digit| shape << 7 | usize::from(digit));
    let mut part = |bits: usize| {
        let Some(len) = (shape >> bits & 0x1fff).checked_sub(1) else {
            return Some(None);
        };
        let (part, rest) = parts.split_at_checked(len)?;
        parts = rest;
        Some(Some(part))
    };
    let (tenant, model) = (part(2)?, part(15)?);
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
