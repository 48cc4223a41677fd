//! Reads plans of all versions: hubs have stored them.

use core::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::ids::NodeId;
use crate::language::Language;
use crate::nesting_limit;
use crate::param::Param;
use crate::plan::{
    AtMost, Call, Capability, Finally, ForEach, JobNode, Node, PLAN_VERSION, Plan, Rate, Settings, Source, Step,
};

/// The first version: no parameters, and no delays of retries.
const FIRST: u32 = 1;
/// The second version: fewer settings of steps.
const SECOND: u32 = 2;
/// The third version: fewer settings of steps, and neither handlers nor `finally`.
const THIRD: u32 = 3;
/// The fourth version: no soft timeouts.
const FOURTH: u32 = 4;
/// The fifth version: no permission for values of the bucket. It is read like the seventh one.
const FIFTH: u32 = 5;
/// The sixth version: no fused steps, and no operations on lists. It is read like the seventh one.
const SIXTH: u32 = 6;
/// The seventh version: no windows of loops.
const SEVENTH: u32 = 7;

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
        fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(
            fields: &mut A,
            name: &'static str,
        ) -> Result<T, A::Error> {
            fields.next_element()?.ok_or_else(|| A::Error::missing_field(name))
        }
        fn next_steps<'de, A: SeqAccess<'de>, S: Deserialize<'de> + Into<Settings>>(
            fields: &mut A,
        ) -> Result<Vec<Step>, A::Error> {
            Ok(next::<_, Vec<OldStep<S>>>(fields, "steps")?.into_iter().map(Step::from).collect())
        }
        let version = next(&mut fields, "version")?;
        Ok(Plan {
            version: current(version),
            steps: match version {
                FIRST => next_steps::<_, FirstSettings>(&mut fields)?,
                SECOND => next_steps::<_, SecondSettings>(&mut fields)?,
                THIRD => next_steps::<_, ThirdSettings>(&mut fields)?,
                FOURTH => next_steps::<_, FourthSettings>(&mut fields)?,
                _ => next(&mut fields, "steps")?,
            },
            nodes: match version {
                FIRST | SECOND | THIRD | FOURTH | FIFTH | SIXTH | SEVENTH => {
                    next::<_, Vec<OldNode>>(&mut fields, "nodes")?.into_iter().map(Node::from).collect()
                }
                _ => next(&mut fields, "nodes")?,
            },
            calls: next(&mut fields, "calls")?,
            params: if version == FIRST { Vec::new() } else { next(&mut fields, "params")? },
        })
    }
}

/// A node of a version whose loops have no windows.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
enum OldNode {
    Job(JobNode),
    ForEach(OldForEach),
    Finally(OldFinally),
}

/// A loop without a window.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct OldForEach {
    id: NodeId,
    variable: String,
    over: NodeId,
    line: u32,
    #[serde(deserialize_with = "nesting_limit::nested_list")]
    body: Vec<OldNode>,
    gather: Option<NodeId>,
}

/// A `finally` block whose loops have no windows.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct OldFinally {
    id: NodeId,
    line: u32,
    #[serde(deserialize_with = "nesting_limit::nested_list")]
    body: Vec<OldNode>,
}

impl From<OldNode> for Node {
    fn from(node: OldNode) -> Self {
        let current = |body: Vec<OldNode>| body.into_iter().map(Self::from).collect();
        match node {
            OldNode::Job(job) => Self::Job(job),
            OldNode::ForEach(OldForEach { id, variable, over, line, body, gather }) => {
                Self::ForEach(ForEach { id, variable, over, line, body: current(body), gather, window: None })
            }
            OldNode::Finally(OldFinally { id, line, body }) => Self::Finally(Finally { id, line, body: current(body) }),
        }
    }
}

/// A step of an older version, with the settings of that version.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct OldStep<S> {
    name: String,
    language: Language,
    function: String,
    source: Source,
    line: u32,
    settings: S,
}

/// The settings of a step of the first version.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(Clone, serde::Serialize))]
struct FirstSettings {
    scope: String,
    priority: i64,
    timeout_s: f64,
    retries: u32,
    every_ms: Option<(u64, u64)>,
    pending_limit_ms: u64,
    rate: Option<Rate>,
    allow: Vec<Capability>,
    requires: Vec<String>,
}

/// The settings of a step of the second version: those of the first one, then these.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(Clone, serde::Serialize))]
struct SecondSettings {
    first: FirstSettings,
    files: Vec<String>,
    retry_delay_ms: Option<(u64, u64)>,
}

/// The settings of a step of the third version: those of the second one, then these.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(Clone, serde::Serialize))]
struct ThirdSettings {
    second: SecondSettings,
    expires_ms: Option<u64>,
    max_handbacks: u32,
    at_most: Option<AtMost>,
    keywords: Option<Bytes>,
}

/// The settings of a step of the fourth version: those of the third one, then this.
#[derive(serde::Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct FourthSettings {
    third: ThirdSettings,
    on_failure: Option<String>,
}

impl<S: Into<Settings>> From<OldStep<S>> for Step {
    fn from(OldStep { name, language, function, source, line, settings }: OldStep<S>) -> Self {
        Self { name, language, function, source, line, settings: settings.into() }
    }
}

impl From<FirstSettings> for Settings {
    fn from(first: FirstSettings) -> Self {
        let FirstSettings { scope, priority, timeout_s, retries, every_ms, pending_limit_ms, rate, allow, requires } =
            first;
        Self {
            scope,
            priority,
            timeout_s,
            retries,
            every_ms,
            pending_limit_ms,
            rate,
            allow,
            requires,
            ..Self::default()
        }
    }
}

impl From<SecondSettings> for Settings {
    fn from(SecondSettings { first, files, retry_delay_ms }: SecondSettings) -> Self {
        Self { files, retry_delay_ms, ..first.into() }
    }
}

impl From<ThirdSettings> for Settings {
    fn from(ThirdSettings { second, expires_ms, max_handbacks, at_most, keywords }: ThirdSettings) -> Self {
        Self { expires_ms, max_handbacks, at_most, keywords, ..second.into() }
    }
}

impl From<FourthSettings> for Settings {
    fn from(FourthSettings { third, on_failure }: FourthSettings) -> Self {
        Self { on_failure, ..third.into() }
    }
}

/// A plan of an older version is one of the current version that lacks some things. Other versions are kept, so that they can be
/// refused.
const fn current(version: u32) -> u32 {
    match version {
        FIRST | SECOND | THIRD | FOURTH | FIFTH | SIXTH | SEVENTH => PLAN_VERSION,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;

    fn plan() -> Plan {
        let call = Call { line: 1, name: None, first: NodeId(0), last: NodeId(0), nested: false };
        Plan { version: PLAN_VERSION, steps: Vec::new(), nodes: Vec::new(), calls: vec![call], params: Vec::new() }
    }

    fn old_step<S>(settings: S) -> OldStep<S> {
        OldStep {
            name: "s".into(),
            language: Language::Python,
            function: "f".into(),
            source: Source::File("x.py".into()),
            line: 3,
            settings,
        }
    }

    /// Reads a plan that was written as these fields, which something follows, and returns the settings of its step.
    fn read_settings<T: serde::Serialize>(fields: &T) -> Settings {
        let bytes = postcard::to_allocvec(fields).expect("bytes");
        let (read, after) = postcard::from_bytes::<(Plan, &str)>(&bytes).expect("a plan of an older version");
        let [step] = &read.steps[..] else { panic!("a step") };
        assert_eq!((read.version, &read.calls, step.line, after), (PLAN_VERSION, &plan().calls, 3, "after"));
        step.settings.clone()
    }

    #[test]
    fn plans_of_older_versions_are_read() {
        let bytes = postcard::to_allocvec(&(plan(), "after")).expect("bytes");
        assert_eq!(postcard::from_bytes::<(Plan, &str)>(&bytes), Ok((plan(), "after")));
        let first = FirstSettings {
            scope: "default".into(),
            priority: 7,
            timeout_s: 1.5,
            retries: 2,
            every_ms: Some((1, 2)),
            pending_limit_ms: 5,
            rate: None,
            allow: vec![Capability::Secret("X".into())],
            requires: vec!["a".into()],
        };
        let expected = Settings {
            priority: 7,
            timeout_s: 1.5,
            retries: 2,
            every_ms: Some((1, 2)),
            pending_limit_ms: 5,
            allow: vec![Capability::Secret("X".into())],
            requires: vec!["a".into()],
            ..Settings::default()
        };
        let steps = vec![old_step(first.clone())];
        assert_eq!(read_settings(&(FIRST, steps, plan().nodes, plan().calls, "after")), expected);
        let second = SecondSettings { first, files: vec!["b.csv".into()], retry_delay_ms: Some((3, 4)) };
        let steps = vec![old_step(second.clone())];
        let read = read_settings(&(SECOND, steps, plan().nodes, plan().calls, plan().params, "after"));
        let expected = Settings { files: vec!["b.csv".into()], retry_delay_ms: Some((3, 4)), ..expected };
        assert_eq!(read, expected);
        let third = ThirdSettings {
            second,
            expires_ms: Some(8),
            max_handbacks: 9,
            at_most: Some(AtMost { count: 2, by: None }),
            keywords: Some(vec![0xa0].into()),
        };
        let (expires_ms, max_handbacks) = (third.expires_ms, third.max_handbacks);
        let (at_most, keywords) = (third.at_most.clone(), third.keywords.clone());
        let steps = vec![old_step(third.clone())];
        let read = read_settings(&(THIRD, steps, plan().nodes, plan().calls, plan().params, "after"));
        let expected = Settings { expires_ms, max_handbacks, at_most, keywords, ..expected };
        assert_eq!(read, expected);
        let steps = vec![old_step(FourthSettings { third, on_failure: Some("notify".into()) })];
        let read = read_settings(&(FOURTH, steps, plan().nodes, plan().calls, plan().params, "after"));
        let expected = Settings { on_failure: Some("notify".into()), ..expected };
        assert_eq!(read, expected);
        let settings = Settings { soft_timeout_ms: Some(10), ..expected };
        for version in [FIFTH, SIXTH, SEVENTH] {
            let steps = vec![old_step(settings.clone())];
            assert_eq!(read_settings(&(version, steps, plan().nodes, plan().calls, plan().params, "after")), settings);
        }
    }

    /// A loop in a loop, and one in the `finally` block.
    #[test]
    fn loops_of_older_versions_have_no_window() {
        let old = |id, over, body| {
            let (variable, gather) = ("x".to_owned(), Some(NodeId(9)));
            OldNode::ForEach(OldForEach { id: NodeId(id), variable, over: NodeId(over), line: 2, body, gather })
        };
        let new = |id, over, body| {
            let (variable, gather) = ("x".to_owned(), Some(NodeId(9)));
            let (id, over) = (NodeId(id), NodeId(over));
            Node::ForEach(ForEach { id, variable, over, line: 2, body, gather, window: None })
        };
        let ending = OldFinally { id: NodeId(5), line: 4, body: vec![old(6, 7, Vec::new())] };
        let nodes = vec![old(1, 0, vec![old(3, 2, Vec::new())]), OldNode::Finally(ending)];
        let steps: Vec<Step> = Vec::new();
        let bytes = postcard::to_allocvec(&(SEVENTH, steps, nodes, plan().calls, plan().params, "after"));
        let bytes = bytes.expect("bytes");
        let (read, after) = postcard::from_bytes::<(Plan, &str)>(&bytes).expect("a plan");
        let ending = Finally { id: NodeId(5), line: 4, body: vec![new(6, 7, Vec::new())] };
        assert_eq!(read.nodes, [new(1, 0, vec![new(3, 2, Vec::new())]), Node::Finally(ending)]);
        assert_eq!((read.version, after), (PLAN_VERSION, "after"));
    }

    #[test]
    fn json_may_leave_out_the_parameters() {
        let mut json = serde_json::to_value(plan()).expect("JSON");
        assert_eq!(serde_json::from_value::<Plan>(json.clone()).expect("a plan"), plan());
        json.as_object_mut().expect("an object").remove("params");
        assert_eq!(serde_json::from_value::<Plan>(json).expect("a plan"), plan());
    }
}
