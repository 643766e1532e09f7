//! Both identities as structs with named fields.
//!
//! # Design
//!
//! Unknown fields are ignored and known ones are required, but for the incarnation. Names are
//! validated by [`EndpointInstanceId::new`] itself.
//!
//! # Why
//!
//! A fleet is upgraded node by node: an old reader must take what a new writer adds. It can,
//! safely, because what makes an identity is required, and an incarnation that goes by another name
//! is an unknown one, which is never taken for a known one. `dp_rank` has no default: two ranks
//! that lost theirs would become one worker.
//!
//! An absent incarnation is left out where a person may read it (JSON: then the same text as
//! Dynamo's type gives), and written as none in binary formats, of which some read field after
//! field and would take whatever comes next for the incarnation.

use std::borrow::Cow;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeStruct as _,
};

use crate::{EndpointInstanceId, WorkerWithDpRank};

impl Serialize for WorkerWithDpRank {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let omit = self.incarnation().is_none() && serializer.is_human_readable();
        let mut fields =
            serializer.serialize_struct("WorkerWithDpRank", if omit { 2 } else { 3 })?;
        fields.serialize_field("worker_id", &self.worker_id)?;
        fields.serialize_field("dp_rank", &self.dp_rank)?;
        if omit {
            fields.skip_field("incarnation")?;
        } else {
            fields.serialize_field("incarnation", &self.incarnation())?;
        }
        fields.end()
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
}

impl<'de> Deserialize<'de> for WorkerWithDpRank {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WorkerFields {
            worker_id,
            dp_rank,
            incarnation,
        } = WorkerFields::deserialize(deserializer)?;
        let worker = Self::new(worker_id, dp_rank);
        Ok(incarnation.map_or(worker, |incarnation| worker.with_incarnation(incarnation)))
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
