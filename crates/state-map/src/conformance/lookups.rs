//! Keys looked up in a borrowed form, and what a session sees.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::hint::black_box;

use super::{Backend, Ledger, Meter, Probe, insert_new};
use crate::{MapSession, StateMap};

/// A key of two parts, as a tenant and a session are.
#[derive(Clone, Debug)]
struct Owned {
    scope: Box<str>,
    id: Box<str>,
}

/// Both parts of such a key, owned or borrowed: what it is looked up by without building an owned one.
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
    let ledger = Ledger::default();

    let strings = B::Map::<String, Probe>::default();
    insert_new(&strings.session(), "a".to_owned(), Probe::new(1, &ledger));
    assert_eq!(strings.session().read("a", |value| value.stamp), Some(1));
    assert_eq!(strings.session().read("b", |value| value.stamp), None);
    assert!(
        strings
            .session()
            .remove_if("a", |value| value.stamp == 2)
            .is_none()
    );
    assert!(strings.session().remove("a").is_some());

    let boxed = B::Map::<Box<str>, Probe>::default();
    insert_new(&boxed.session(), "a".into(), Probe::new(2, &ledger));
    assert_eq!(boxed.session().read("a", |value| value.stamp), Some(2));

    let composite = B::Map::<Owned, Probe>::default();
    let key = Owned {
        scope: "tenant".into(),
        id: "session".into(),
    };
    insert_new(&composite.session(), key, Probe::new(3, &ledger));
    let found = |parts: &dyn Parts| composite.session().read(parts, |value| value.stamp);
    assert_eq!(found(&("tenant", "session")), Some(3));
    assert_eq!(found(&("tenants", "ession")), None);
}

/// What a session wrote it sees at once, and so does a session that was opened earlier.
pub fn a_session_sees_its_own_writes<B: Backend>() {
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    let earlier = map.session();
    let writer = map.session();
    for key in 0..1_000 {
        for session in [&earlier, &writer] {
            assert_eq!(session.read(&key, |value| value.stamp), None);
        }
        insert_new(&writer, key, Probe::new(key, &ledger));
        for session in [&earlier, &writer] {
            assert_eq!(session.read(&key, |value| value.stamp), Some(key));
        }
        if key % 2 == 0 {
            assert!(writer.remove(&key).is_some());
            for session in [&earlier, &writer] {
                assert_eq!(session.read(&key, |value| value.stamp), None);
            }
            assert!(
                earlier.remove(&key).is_none(),
                "the other session has removed it"
            );
        }
    }
}

/// Neither a hit nor a miss by a borrowed key allocates, the session included.
pub fn lookups_by_borrowed_key_allocate_nothing<B: Backend>(meter: Meter) {
    let ledger = Ledger::default();
    let map = B::Map::<Box<str>, Probe>::default();
    for key in 0..100 {
        insert_new(
            &map.session(),
            format!("session-{key}").into(),
            Probe::new(key, &ledger),
        );
    }
    let look_up = |key| map.session().read(black_box(key), |value| value.stamp);
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
