//! The specifications that the tests check against, and shorthand for writing histories.

use std::collections::BTreeMap;

use linearize::{Call, Rng, Spec};

/// A call of `op` by `thread` between two stamps.
pub(crate) fn call<Op, Ret>(
    thread: usize,
    (invoked, returned): (u64, u64),
    op: Op,
    ret: Ret,
) -> Call<Op, Ret> {
    Call {
        thread,
        op,
        ret,
        invoked,
        returned,
    }
}

/// A register that starts at 0; a write answers 0.
pub(crate) struct Register;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegisterOp {
    Read,
    Write(u64),
}

impl Spec for Register {
    type Op = RegisterOp;
    type Ret = u64;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn step(&self, value: &mut u64, op: &RegisterOp) -> u64 {
        match *op {
            RegisterOp::Read => *value,
            RegisterOp::Write(new) => {
                *value = new;
                0
            }
        }
    }
}

/// A map from keys to values; every operation answers the value it met.
pub(crate) struct Map;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapOp {
    /// Inserts if absent, and otherwise answers the occupant.
    Insert(u8, u64),
    Read(u8),
    Remove(u8),
    /// Removes if the value is this one, and answers it if so.
    RemoveIf(u8, u64),
}

impl MapOp {
    pub(crate) fn key(&self) -> u8 {
        match *self {
            Self::Insert(key, _) | Self::Read(key) | Self::Remove(key) | Self::RemoveIf(key, _) => {
                key
            }
        }
    }

    pub(crate) fn any(rng: &mut Rng, keys: u8, values: u64) -> Self {
        let key = u8::try_from(rng.below(keys.into())).expect("below a u8");
        let value = rng.below(values);
        match rng.below(4) {
            0 => Self::Insert(key, value),
            1 => Self::Read(key),
            2 => Self::Remove(key),
            _ => Self::RemoveIf(key, value),
        }
    }
}

impl Spec for Map {
    type Op = MapOp;
    type Ret = Option<u64>;
    type State = BTreeMap<u8, u64>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn step(&self, map: &mut Self::State, op: &MapOp) -> Option<u64> {
        let found = map.get(&op.key()).copied();
        match *op {
            MapOp::Insert(key, value) => {
                map.entry(key).or_insert(value);
                found
            }
            MapOp::Read(_) => found,
            MapOp::Remove(key) => map.remove(&key),
            MapOp::RemoveIf(key, value) => {
                if found == Some(value) {
                    map.remove(&key)
                } else {
                    None
                }
            }
        }
    }
}
