//! A map that costs next to nothing: what any map could gain at most.
//!
//! # Design
//!
//! What is inserted before the threads begin is *kept*: in slots that are set once, and that all
//! threads read without a lock. What a thread inserts later is its *own*: in a table that goes with
//! its share ([`Owning`]), of which no other thread knows. Both find a key by the bits that it
//! hashes as. So there is no lock, no hash, and no line that travels; what is left out is all that
//! a concurrent map pays for being one.
//!
//! # Invariants
//!
//! It is right only where a scenario is made so, and the scenario's own checks say whether it is:
//!
//! 1. No thread looks for what another one has inserted while they run.
//! 2. Nothing that is kept is removed.

use std::any::Any;
use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use state_map::{Occupied, Retire, Shrink};

use crate::scenario::Share;

/// See the [module](self).
#[derive(Debug)]
pub struct FreeMap<K, V> {
    /// A power of two of slots. A key is in the first from its place on that was not yet taken.
    kept: Box<[OnceLock<(K, V)>]>,
    /// Where this map's table is among those of a thread.
    number: usize,
}

/// What a thread has inserted into one map.
type Own<K, V> = HashMap<K, V, BuildHasherDefault<Bits>>;

/// What a thread has inserted, by the number of the map.
type Tables = Vec<Option<Box<dyn Any + Send>>>;

thread_local! {
    /// Those of the share that this thread is in the midst of, if it is one that owns something.
    static OWN: RefCell<Option<Tables>> = const { RefCell::new(None) };
}

impl<K: Eq + Hash, V> FreeMap<K, V> {
    /// With room for so many entries that are kept.
    pub(crate) fn new(kept: usize) -> Self {
        static MAPS: AtomicUsize = AtomicUsize::new(0);
        let slots = (kept * 2).next_power_of_two();
        Self {
            kept: (0..slots).map(|_| OnceLock::new()).collect(),
            // Each map has a number of its own; nothing else hangs on the order.
            number: MAPS.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The slots in which a key may be kept, in order.
    #[inline]
    fn slots<'a, Q: Hash + ?Sized>(
        &'a self,
        key: &Q,
    ) -> impl Iterator<Item = &'a OnceLock<(K, V)>> + use<'a, K, V, Q> {
        let bits = BuildHasherDefault::<Bits>::default().hash_one(key) >> 32;
        let place = usize::try_from(bits % self.kept.len() as u64).unwrap_or_default();
        let (before, from) = self.kept.split_at(place);
        from.iter().chain(before)
    }

    #[inline]
    fn kept<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut taken = self.slots(key).map_while(OnceLock::get);
        let (_, value) = taken.find(|(each, _)| each.borrow() == key)?;
        Some(value)
    }
}

impl<K, V> FreeMap<K, V>
where
    K: Eq + Hash + Send + 'static,
    V: Retire + Send + 'static,
{
    /// Does something with this thread's table. `None` where it has none.
    #[inline]
    fn own<R>(&self, access: impl FnOnce(&mut Own<K, V>) -> R) -> Option<R> {
        OWN.with_borrow_mut(|tables| {
            let tables = tables.as_mut()?;
            if tables.len() <= self.number {
                tables.resize_with(self.number + 1, || None);
            }
            let table = tables[self.number].get_or_insert_with(|| Box::new(Own::<K, V>::default()));
            Some(access(table.downcast_mut().expect("the map's own number")))
        })
    }

    #[inline]
    pub(crate) fn read<Q, R>(&self, key: &Q, f: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        match self.kept(key) {
            Some(value) => Some(f(value)),
            None => self.own(|own| own.get(key).map(f))?,
        }
    }

    pub(crate) fn insert_if_absent<R>(
        &self,
        key: K,
        value: V,
        occupied: impl FnOnce(&V) -> R,
    ) -> Result<(), Occupied<V, R>> {
        if let Some(there) = self.kept(&key) {
            return Err(Occupied {
                occupant: occupied(there),
                rejected: value,
            });
        }
        let mut entry = Some((key, value));
        let inserted = self.own(|own| {
            let (key, value) = entry.take().expect("nobody has taken it");
            match own.entry(key) {
                Entry::Vacant(vacant) => {
                    vacant.insert(value);
                    Ok(())
                }
                Entry::Occupied(there) => Err(Occupied {
                    occupant: occupied(there.get()),
                    rejected: value,
                }),
            }
        });
        inserted.unwrap_or_else(|| {
            let (key, value) = entry.take().expect("this thread owns nothing");
            self.keep(key, value);
            Ok(())
        })
    }

    fn keep(&self, key: K, value: V) {
        let mut slots = self.slots(&key);
        let free = slots.find(|slot| slot.get().is_none());
        let free = free.expect("the map was made with room for what is kept");
        assert!(free.set((key, value)).is_ok(), "one thread fills the map");
    }

    pub(crate) fn remove_if<Q>(
        &self,
        key: &Q,
        mut condition: impl FnMut(&V) -> bool,
    ) -> Option<V::Payload>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        assert!(self.kept(key).is_none(), "what is kept is not removed");
        let removed = self.own(|own| {
            let accepted = own.get(key).is_some_and(&mut condition);
            if accepted { own.remove(key) } else { None }
        })?;
        removed.map(|value| value.retire())
    }

    pub(crate) fn for_each(&self, mut f: impl FnMut(&K, &V)) {
        let kept = self.kept.iter().filter_map(OnceLock::get);
        kept.for_each(|(key, value)| f(key, value));
        self.own(|own| own.iter().for_each(|(key, value)| f(key, value)));
    }

    pub(crate) fn len(&self) -> usize {
        let mut len = 0;
        self.for_each(|_, _| len += 1);
        len
    }

    #[expect(clippy::unused_self, reason = "it is one of several maps")]
    pub(crate) fn shrink(&self) -> Shrink {
        Shrink::Unsupported
    }
}

/// A multiple of a key's own bits in the place of a hash.
#[derive(Default)]
struct Bits(u64);

impl Hasher for Bits {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn write_u32(&mut self, part: u32) {
        self.0 ^= u64::from(part);
    }

    #[inline]
    fn write_u64(&mut self, part: u64) {
        self.0 ^= part;
    }

    #[inline]
    fn finish(&self) -> u64 {
        // Numbers in order shall not lie side by side, so that there is a gap after a few.
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// A share with what it has inserted into free maps.
pub(crate) struct Owning<S> {
    share: S,
    tables: Option<Tables>,
}

impl<S> Owning<S> {
    /// What `make` inserts is the share's own already.
    pub(crate) fn new(make: impl FnOnce() -> S) -> Self {
        let mut tables = Some(Tables::new());
        let share = owning(&mut tables, make);
        Self { share, tables }
    }
}

impl<S: Share> Share for Owning<S> {
    fn round(&mut self) -> u64 {
        owning(&mut self.tables, || self.share.round())
    }
}

/// Does something while the thread has these tables.
fn owning<R>(tables: &mut Option<Tables>, work: impl FnOnce() -> R) -> R {
    OWN.with_borrow_mut(|own| mem::swap(own, tables));
    let done = work();
    OWN.with_borrow_mut(|own| mem::swap(own, tables));
    done
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Inserts numbers, reads them and those of others, and removes every other one of its own.
    struct Numbers(Arc<FreeMap<u64, Arc<()>>>, u64);

    impl Share for Numbers {
        fn round(&mut self) -> u64 {
            let Self(map, next) = self;
            let is_new = |key| map.insert_if_absent(key, Arc::new(()), |_| ());
            assert!(is_new(*next).is_ok() && is_new(*next).is_err());
            assert!(is_new(7).is_err(), "it is kept");
            if next.is_multiple_of(2) {
                assert_eq!(map.remove_if(next, |_| false), None);
                assert_eq!(map.remove_if(next, |_| true), Some(()));
                assert_eq!(map.remove_if(next, |_| true), None);
            }
            *next += 1;
            map.len() as u64
        }
    }

    #[test]
    fn what_is_kept_is_everybodys_and_what_comes_later_is_ones_own() {
        let map = Arc::new(FreeMap::new(3));
        for key in [7, 7 + 8, 7 + 16] {
            assert!(
                map.insert_if_absent(key, Default::default(), |_| ())
                    .is_ok()
            );
        }
        let mut shares = [100, 100].map(|first| Owning::new(|| Numbers(Arc::clone(&map), first)));
        assert_eq!(shares.each_mut().map(Share::round), [3, 3]);
        assert_eq!(shares[0].round(), 4, "101 stays");
        assert_eq!(shares[1].round(), 4, "101 of another share is not its own");
        assert_eq!(map.len(), 3, "out of a round there is only what is kept");
        assert_eq!(map.read(&(7 + 16), |_| ()), Some(()));
        assert_eq!(map.read(&101, |_| ()), None);
    }
}
