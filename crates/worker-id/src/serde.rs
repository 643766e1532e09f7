//! Identities as structs with named fields, and [`AsText`], which writes anything as its text.
//!
//! Unknown fields are ignored and known ones are required, but for the incarnation: a fleet is
//! upgraded node by node, and an old reader must take what a new writer adds. An ordered
//! incarnation has a field of its own, so that an old reader sees an unknown one, which is never
//! taken for a known one. `dp_rank` has no default in a worker: two ranks that lost theirs would
//! become one worker.
//!
//! Absent incarnations are left out where a person may read it (JSON: then the same text as
//! Dynamo's type gives), and written as none in binary formats, of which some read field after
//! field and would take whatever comes next for the incarnation.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, Visitor},
    ser::SerializeStruct as _,
};

use crate::{EndpointInstanceId, Incarnation, Ranks, WorkerRanks, WorkerWithDpRank};

/// Any value as its text: for paths, for the keys of JSON objects, and for readers that hold
/// numbers as `f64`. Serializes by `Display`, and is read back by `FromStr`.
///
/// ```
/// use std::collections::BTreeMap;
/// use worker_id::{AsText, WorkerWithDpRank};
///
/// let load = BTreeMap::from([(AsText(WorkerWithDpRank::new(7, 0).with_incarnation(42)), 3)]);
/// let json = serde_json::to_string(&load)?;
/// assert_eq!(json, r#"{"7:0@42":3}"#);
/// assert_eq!(serde_json::from_str::<BTreeMap<AsText<WorkerWithDpRank>, i32>>(&json)?, load);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsText<T>(pub T);

impl<T: fmt::Display> fmt::Display for AsText<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: FromStr> FromStr for AsText<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl<T> From<T> for AsText<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: fmt::Display> Serialize for AsText<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for AsText<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text(PhantomData)).map(Self)
    }
}

/// Writes a worker, or some ranks of it, as a struct of at most four fields.
fn write<S: Serializer>(
    serializer: S,
    name: &'static str,
    worker_id: u64,
    dp_rank: &(impl Serialize + ?Sized),
    incarnation: Option<Incarnation>,
    has_rank: bool,
) -> Result<S::Ok, S::Error> {
    let omit = serializer.is_human_readable();
    let (opaque, ordered) = match incarnation {
        Some(Incarnation::Opaque(number)) => (Some(number), None),
        Some(Incarnation::Ordered(number)) => (None, Some(number)),
        None => (None, None),
    };
    let lives = [("incarnation", opaque), ("ordered_incarnation", ordered)];
    let written = |there: bool| usize::from(there || !omit);
    let len = 1 + written(has_rank) + written(opaque.is_some()) + written(ordered.is_some());
    let mut fields = serializer.serialize_struct(name, len)?;
    fields.serialize_field("worker_id", &worker_id)?;
    if has_rank || !omit {
        fields.serialize_field("dp_rank", dp_rank)?;
    } else {
        fields.skip_field("dp_rank")?;
    }
    for (name, life) in lives {
        if life.is_some() || !omit {
            fields.serialize_field(name, &life)?;
        } else {
            fields.skip_field(name)?;
        }
    }
    fields.end()
}

impl Serialize for WorkerWithDpRank {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = "WorkerWithDpRank";
        let life = self.incarnation();
        write(serializer, name, self.worker_id, &self.dp_rank, life, true)
    }
}

impl Serialize for WorkerRanks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rank = match self.ranks {
            Ranks::All => None,
            Ranks::One(rank) => Some(rank),
        };
        let (name, life) = ("WorkerRanks", self.incarnation);
        write(
            serializer,
            name,
            self.worker_id,
            &rank,
            life,
            rank.is_some(),
        )
    }
}

/// The incarnation that two fields say, which is one at most.
fn life<E: serde::de::Error>(
    opaque: Option<u64>,
    ordered: Option<u64>,
) -> Result<Option<Incarnation>, E> {
    match (opaque, ordered) {
        (Some(_), Some(_)) => Err(E::custom(
            "`incarnation` and `ordered_incarnation` are both given; a worker has one of them at \
             most",
        )),
        (opaque, ordered) => Ok(opaque
            .map(Incarnation::Opaque)
            .or(ordered.map(Incarnation::Ordered))),
    }
}

#[derive(Deserialize)]
#[serde(rename = "WorkerWithDpRank")]
struct WorkerFields {
    worker_id: u64,
    dp_rank: u32,
    // By name, an `Option` may be absent anyway; this allows for it in a sequence of two, too.
    #[serde(default)]
    incarnation: Option<u64>,
    #[serde(default)]
    ordered_incarnation: Option<u64>,
}

impl<'de> Deserialize<'de> for WorkerWithDpRank {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = WorkerFields::deserialize(deserializer)?;
        let worker = Self::new(fields.worker_id, fields.dp_rank);
        let life = life(fields.incarnation, fields.ordered_incarnation)?;
        Ok(life.map_or(worker, |life| worker.in_incarnation(life)))
    }
}

#[derive(Deserialize)]
#[serde(rename = "WorkerRanks")]
struct RanksFields {
    worker_id: u64,
    #[serde(default)]
    dp_rank: Option<u32>,
    #[serde(default)]
    incarnation: Option<u64>,
    #[serde(default)]
    ordered_incarnation: Option<u64>,
}

/// Without a `dp_rank`, all ranks.
impl<'de> Deserialize<'de> for WorkerRanks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = RanksFields::deserialize(deserializer)?;
        Ok(Self {
            worker_id: fields.worker_id,
            ranks: fields.dp_rank.map_or(Ranks::All, Ranks::One),
            incarnation: life(fields.incarnation, fields.ordered_incarnation)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "EndpointInstanceId")]
struct InstanceFields<'a> {
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    component: Cow<'a, str>,
    #[serde(borrow)]
    endpoint: Cow<'a, str>,
    instance_id: u64,
}

impl Serialize for EndpointInstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        InstanceFields {
            namespace: self.namespace().into(),
            component: self.component().into(),
            endpoint: self.endpoint().into(),
            instance_id: self.instance_id(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for EndpointInstanceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = InstanceFields::deserialize(deserializer)?;
        Self::new(
            &fields.namespace,
            &fields.component,
            &fields.endpoint,
            fields.instance_id,
        )
        .map_err(D::Error::custom)
    }
}
