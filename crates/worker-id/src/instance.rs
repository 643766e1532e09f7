//! One instance of an endpoint.
//!
//! # Design
//!
//! The three names lie in one shared `namespace/component/endpoint`, with the lengths of the first
//! two beside it. A name of at most 255 bytes makes a length one byte, and the whole 32 bytes.
//!
//! # Why
//!
//! A fleet has few endpoints and many instances, so instances of one endpoint share its path
//! ([`with_instance_id`](EndpointInstanceId::with_instance_id)), and comparing them compares one
//! pointer and one number. Ordering goes by field and not by path: as text, `a-b/c` sorts before
//! `a/c`, since `-` sorts before `/`.
//!
//! # Invariants
//!
//! No name holds `/`: so the path determines the names and their lengths, and equal paths mean
//! equal names.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use crate::{NameError, NameField, NameRule, ParseEndpointInstanceError, WorkerWithDpRank, text};

/// One instance of an endpoint: namespace, component, endpoint, and the number of the instance.
///
/// All four count in `==`, in the hash and in the ordering, which goes field by field in that
/// order, names as bytes.
///
/// A name has 1 to [`MAX_NAME_LEN`](Self::MAX_NAME_LEN) bytes of UTF-8, without `/`, whitespace and
/// control characters. Names are compared as they are: no case folding, no Unicode normalisation.
///
/// # Text
///
/// `namespace/component/endpoint/instance_id`, the number in plain decimal. [`FromStr`] accepts
/// exactly what `Display` writes.
///
/// # Cost
///
/// 32 bytes. [`new`](Self::new) and `parse` allocate; `clone` and
/// [`with_instance_id`](Self::with_instance_id) increment one reference count, a write that all
/// threads which clone instances of one endpoint share: on a hot path, borrow. A hash reads the
/// path once; a comparison does not read it where both sides share it.
///
/// ```
/// use worker_id::EndpointInstanceId;
///
/// let first = EndpointInstanceId::new("prod", "decode", "generate", 1)?;
/// let second = first.with_instance_id(2);
/// assert_eq!(second.to_string(), "prod/decode/generate/2");
/// assert!(std::ptr::eq(first.path(), second.path()));
/// # Ok::<(), worker_id::NameError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct EndpointInstanceId {
    path: Arc<str>,
    instance_id: u64,
    namespace_len: u8,
    component_len: u8,
}

impl EndpointInstanceId {
    /// Bytes a name may have.
    pub const MAX_NAME_LEN: usize = u8::MAX as usize;

    /// An instance of the endpoint with these names.
    ///
    /// # Errors
    ///
    /// [`NameError`] for the first name that is empty, too long, or holds `/`, whitespace or a
    /// control character.
    pub fn new(
        namespace: &str,
        component: &str,
        endpoint: &str,
        instance_id: u64,
    ) -> Result<Self, NameError> {
        let namespace_len = check(NameField::Namespace, namespace)?;
        let component_len = check(NameField::Component, component)?;
        check(NameField::Endpoint, endpoint)?;
        let path = [namespace, component, endpoint].join("/").into();
        Ok(Self {
            path,
            instance_id,
            namespace_len,
            component_len,
        })
    }

    /// Another instance of the same endpoint. Shares the path: allocates nothing.
    pub fn with_instance_id(&self, instance_id: u64) -> Self {
        Self {
            instance_id,
            ..self.clone()
        }
    }

    /// The instance of the same endpoint that has the number of a worker. What `From` makes of it
    /// is rank 0 of that worker. Allocates nothing.
    pub fn instance_of(&self, worker: &WorkerWithDpRank) -> Self {
        self.with_instance_id(worker.worker_id)
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.path[..self.component_at() - 1]
    }

    /// The component within the namespace.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.path[self.component_at()..self.endpoint_at() - 1]
    }

    /// The endpoint within the component.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.path[self.endpoint_at()..]
    }

    /// The number of the instance.
    #[must_use]
    pub const fn instance_id(&self) -> u64 {
        self.instance_id
    }

    /// `namespace/component/endpoint`: what all instances of one endpoint have in common. One slice
    /// in memory for all that were cloned or made by [`with_instance_id`](Self::with_instance_id)
    /// from one.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn component_at(&self) -> usize {
        usize::from(self.namespace_len) + 1
    }

    fn endpoint_at(&self) -> usize {
        self.component_at() + usize::from(self.component_len) + 1
    }

    fn names(&self) -> [&str; 3] {
        [self.namespace(), self.component(), self.endpoint()]
    }
}

/// The length of `name`, if it may be one.
fn check(field: NameField, name: &str) -> Result<u8, NameError> {
    let reject = |rule| NameError {
        field,
        value: text::excerpt(name),
        rule,
    };
    if name.is_empty() {
        return Err(reject(NameRule::Empty));
    }
    // First, so that a megabyte is refused without being read.
    let len =
        u8::try_from(name.len()).map_err(|_| reject(NameRule::TooLong { len: name.len() }))?;
    match name
        .chars()
        .find(|&c| c == '/' || c.is_whitespace() || c.is_control())
    {
        Some(c) => Err(reject(NameRule::Forbidden(c))),
        None => Ok(len),
    }
}

impl PartialEq for EndpointInstanceId {
    fn eq(&self, other: &Self) -> bool {
        self.instance_id == other.instance_id
            && (Arc::ptr_eq(&self.path, &other.path) || self.path == other.path)
    }
}

impl Eq for EndpointInstanceId {}

impl PartialOrd for EndpointInstanceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EndpointInstanceId {
    fn cmp(&self, other: &Self) -> Ordering {
        let names = if Arc::ptr_eq(&self.path, &other.path) {
            Ordering::Equal
        } else {
            self.names().cmp(&other.names())
        };
        names.then(self.instance_id.cmp(&other.instance_id))
    }
}

impl Hash for EndpointInstanceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
        self.instance_id.hash(state);
    }
}

impl fmt::Debug for EndpointInstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointInstanceId")
            .field("namespace", &self.namespace())
            .field("component", &self.component())
            .field("endpoint", &self.endpoint())
            .field("instance_id", &self.instance_id)
            .finish()
    }
}

impl fmt::Display for EndpointInstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.path, self.instance_id)
    }
}

impl FromStr for EndpointInstanceId {
    type Err = ParseEndpointInstanceError;

    /// # Errors
    ///
    /// [`ParseEndpointInstanceError`], for the number of parts, else for the instance id, else for
    /// the first name that is wrong.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let (Some(namespace), Some(component), Some(endpoint), Some(id), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            let found = text.split('/').count();
            return Err(ParseEndpointInstanceError::Parts {
                text: text::excerpt(text),
                found,
            });
        };
        let id =
            text::number(id, u64::MAX).map_err(|rule| ParseEndpointInstanceError::InstanceId {
                value: text::excerpt(id),
                rule,
            })?;
        Ok(Self::new(namespace, component, endpoint, id)?)
    }
}
