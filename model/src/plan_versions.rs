//! Reads plans of all versions: hubs have stored them.

use core::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::param::Param;
use crate::plan::{Call, Node, PLAN_VERSION, Plan, Step};

/// The version without parameters.
const WITHOUT_PARAMS: u32 = 1;

const FIELDS: &[&str] = &["version", "steps", "nodes", "calls", "params"];

impl<'de> Deserialize<'de> for Plan {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match from.is_human_readable() {
            true => Named::deserialize(from).map(Self::from),
            false => from.deserialize_struct("Plan", FIELDS, InOrder),
        }
    }
}

/// JSON names the fields.
#[derive(serde::Deserialize)]
#[serde(rename = "Plan")]
struct Named {
    version: u32,
    steps: Vec<Step>,
    nodes: Vec<Node>,
    calls: Vec<Call>,
    #[serde(default)]
    params: Vec<Param>,
}

impl From<Named> for Plan {
    fn from(Named { version, steps, nodes, calls, params }: Named) -> Self {
        Self { version: current(version), steps, nodes, calls, params }
    }
}

/// In postcard, a missing field is noticed only by the version.
struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Plan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Plan, A::Error> {
        fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(fields: &mut A, name: &'static str) -> Result<T, A::Error> {
            fields.next_element()?.ok_or_else(|| A::Error::missing_field(name))
        }
        let version = next(&mut fields, "version")?;
        Ok(Plan {
            version: current(version),
            steps: next(&mut fields, "steps")?,
            nodes: next(&mut fields, "nodes")?,
            calls: next(&mut fields, "calls")?,
            params: if version == WITHOUT_PARAMS { Vec::new() } else { next(&mut fields, "params")? },
        })
    }
}

/// A plan of version 1 is one of the current version without parameters. Other versions are kept, so that they can be refused.
const fn current(version: u32) -> u32 {
    if version == WITHOUT_PARAMS { PLAN_VERSION } else { version }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;

    fn plan() -> Plan {
        let call = Call { line: 1, name: None, first: NodeId(0), last: NodeId(0), nested: false };
        Plan { version: PLAN_VERSION, steps: Vec::new(), nodes: Vec::new(), calls: vec![call], params: Vec::new() }
    }

    #[test]
    fn plans_of_version_1_are_read() {
        let mut bytes = postcard::to_allocvec(&(plan(), "after")).expect("bytes");
        assert_eq!(postcard::from_bytes::<(Plan, &str)>(&bytes), Ok((plan(), "after")));
        assert_eq!(bytes.remove(0), 2, "the version");
        bytes.insert(0, 1);
        let without_params = bytes.len() - "after".len() - 2;
        assert_eq!(bytes.remove(without_params), 0, "no parameters");
        assert_eq!(postcard::from_bytes::<(Plan, &str)>(&bytes), Ok((plan(), "after")));
    }

    #[test]
    fn json_may_leave_out_the_parameters() {
        let mut json = serde_json::to_value(plan()).expect("JSON");
        assert_eq!(serde_json::from_value::<Plan>(json.clone()).expect("a plan"), plan());
        json.as_object_mut().expect("an object").remove("params");
        assert_eq!(serde_json::from_value::<Plan>(json).expect("a plan"), plan());
    }
}
