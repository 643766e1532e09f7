//! Keys looked up in a borrowed form, and what an access sees.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::hint::black_box;

use super::{Backend, MapOf, Meter, Probe, Sample, insert_new, stamp_of};
use crate::StateMap;

/// A key of two parts, as a tenant and a session are.
#[derive(Clone, Debug)]
struct Owned {
    scope: Box<str>,
    id: Box<str>,
}

/// Both parts of such a key, owned or borrowed: what it is looked up by without building an owned
/// one.
trait Parts {
    fn parts(&self) -> (&str, &str);
}

impl Parts for Owned {
    fn parts(&self) -> (&str, &str) {
        (&self.scope, &self.id)
    }
}

impl Parts for (&str, &str) {
    fn parts(&self) -> (&str, &str) {
        *self
    }
}

impl Hash for dyn Parts + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for dyn Parts + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Parts + '_ {}

impl Hash for Owned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl PartialEq for Owned {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Owned {}

impl<'a> Borrow<dyn Parts + 'a> for Owned {
    fn borrow(&self) -> &(dyn Parts + 'a) {
        self
    }
}

/// `&str` finds a `String` and a `Box<str>`; two borrowed parts find a key made of both.
pub fn keys_are_found_in_borrowed_form<B: Backend>() {
    let strings = B::Map::<String, Probe>::default();
    let access = strings.access();
    assert!(
        access
            .insert_if_absent("a".into(), Probe::sample(1))
            .is_ok()
    );
    assert_eq!(access.read("a", Probe::stamp), Some(1));
    assert_eq!(access.read("b", Probe::stamp), None);
    assert!(!access.remove_if("a", |value| value.stamp() == 2));
    assert!(access.remove("a"));

    let boxed = B::Map::<Box<str>, Probe>::default();
    let access = boxed.access();
    assert!(
        access
            .insert_if_absent("a".into(), Probe::sample(2))
            .is_ok()
    );
    assert_eq!(access.read("a", Probe::stamp), Some(2));

    let composite = B::Map::<Owned, Probe>::default();
    let access = composite.access();
    let key = Owned {
        scope: "tenant".into(),
        id: "session".into(),
    };
    assert!(access.insert_if_absent(key, Probe::sample(3)).is_ok());
    let found = |parts: &dyn Parts| access.read(parts, Probe::stamp);
    assert_eq!(found(&("tenant", "session")), Some(3));
    assert_eq!(found(&("tenants", "ession")), None);
}

/// What an access wrote it sees at once, and so does an access that was opened earlier.
pub fn an_access_sees_its_own_writes<M: MapOf<V>, V: Sample>() {
    let map = M::default();
    let earlier = map.access();
    let writer = map.access();
    for key in 0..1_000 {
        for access in [&earlier, &writer] {
            assert_eq!(stamp_of(access, key), None);
        }
        insert_new(&writer, key, key);
        for access in [&earlier, &writer] {
            assert_eq!(stamp_of(access, key), Some(key));
        }
        if key % 2 == 0 {
            assert!(writer.remove(&V::key(key)));
            for access in [&earlier, &writer] {
                assert_eq!(stamp_of(access, key), None);
            }
            assert!(
                !earlier.remove(&V::key(key)),
                "the other access has removed it"
            );
        }
    }
}

/// Neither a hit nor a miss by a borrowed key allocates, the access included.
pub fn lookups_by_borrowed_key_allocate_nothing<B: Backend>(meter: Meter) {
    let map = B::Map::<Box<str>, Probe>::default();
    for key in 0..100 {
        let name = format!("session-{key}").into();
        assert!(
            map.access()
                .insert_if_absent(name, Probe::sample(key))
                .is_ok()
        );
    }
    let look_up = |key| map.access().read(black_box(key), Probe::stamp);
    // The first access of a thread may register it with the backend's memory reclamation.
    assert_eq!(look_up("session-7"), Some(7));

    let before = meter().allocations;
    for _ in 0..1_000 {
        assert_eq!(look_up("session-7"), Some(7));
        assert_eq!(look_up("session-x"), None);
    }
    assert_eq!(meter().allocations - before, 0, "2,000 lookups allocated");
    drop(black_box(Box::new(0_u8)));
    assert!(
        meter().allocations > before,
        "the meter does not count: is its allocator installed?"
    );
}
