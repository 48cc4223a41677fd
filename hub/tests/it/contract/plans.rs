//! Plans come from outside: an inconsistent one is refused, and leaves nothing behind.

use bue_hub::{HubError, PlanError};
use bue_model::job::INLINE_LIMIT;
use bue_model::plan::{AtMost, Rate};
use bue_model::{CallIndex, Input, Language, Node, NodeId, ParamIndex, Plan, StepIndex};
use bytes::Bytes;

use crate::script::{Script, submission};
use crate::world::{World, completed};

/// Turns a good plan into a bad one.
type Corrupt = fn(&mut Plan);

/// Two calls, and a loop with a call in it.
fn good() -> Plan {
    let mut script = Script::new();
    let a = script.call(&["a", "b"], &[]);
    let source = script.call(&["source"], &[Input::Node(a)]);
    script.each(source, |script, x| script.call(&["c"], &[x, Input::Node(a)]));
    script.plan()
}

fn job(plan: &mut Plan, at: usize) -> &mut bue_model::JobNode {
    match &mut plan.nodes[at] {
        Node::Job(job) => job,
        Node::ForEach(_) | Node::Finally(_) => panic!("a job"),
    }
}

fn fan_out(plan: &mut Plan) -> &mut bue_model::ForEach {
    match &mut plan.nodes[3] {
        Node::ForEach(fan_out) => fan_out,
        Node::Job(_) | Node::Finally(_) => panic!("a loop"),
    }
}

fn inner(plan: &mut Plan) -> &mut bue_model::JobNode {
    match &mut fan_out(plan).body[0] {
        Node::Job(job) => job,
        Node::ForEach(_) | Node::Finally(_) => panic!("a job"),
    }
}

pub(crate) async fn a_value_of_the_script_is_an_argument(mut world: World) {
    let mut script = Script::new();
    let fixed = Input::Literal("fixed".into());
    let a = script.call(&["a"], &[fixed.clone(), fixed.clone()]);
    script.call(&["b", "c"], &[Input::Node(a), fixed]);
    world.submit(script).await;
    let held = world.lease_and_report("a", completed("1")).await;
    assert_eq!(held.arguments(), ["fixed", "fixed"]);
    let held = world.lease_and_report("b", completed("2")).await;
    assert_eq!(held.arguments(), ["1", "fixed"]);
    let held = world.lease_and_report("c", completed("3")).await;
    assert_eq!(held.arguments(), ["2"]);
}

pub(crate) async fn keyword_arguments_come_with_the_step(mut world: World) {
    let keywords = Bytes::from_static(&[0xa1, 0x61, b'k', 0x01]);
    let mut script = Script::new();
    script.call(&["with", "without"], &[]);
    script.set("with", |settings| settings.keywords = Some(keywords.clone()));
    world.submit(script).await;
    assert_eq!(world.lease_and_report("with", completed("1")).await.step.keywords, Some(keywords));
    assert_eq!(world.lease_named("without").await.step.keywords, None);
}

pub(crate) async fn a_bad_plan_is_refused_and_leaves_nothing(world: World) {
    let corrupted: Vec<(&str, Corrupt)> = vec![
        ("another version", |plan| plan.version += 1),
        ("no such step", |plan| job(plan, 0).step = StepIndex(99)),
        ("no such call", |plan| job(plan, 0).call = CallIndex(99)),
        ("no such node", |plan| job(plan, 0).inputs = vec![Input::Node(NodeId(99))]),
        ("itself", |plan| job(plan, 0).inputs = vec![Input::Node(NodeId(0))]),
        ("a value that is too long", |plan| {
            job(plan, 0).inputs = vec![Input::Literal(vec![0; INLINE_LIMIT + 1].into())];
        }),
        ("a parameter", |plan| job(plan, 0).inputs = vec![Input::Param(ParamIndex(0))]),
        ("a later node", |plan| job(plan, 0).inputs = vec![Input::Node(NodeId(2))]),
        ("a job in the middle of another call", |plan| job(plan, 2).inputs = vec![Input::Node(NodeId(0))]),
        ("into a loop from outside", |plan| {
            let mut script = Script::new();
            let source = script.call(&["source"], &[]);
            script.each(source, |script, x| script.call(&["c"], &[x]));
            script.call(&["d"], &[Input::Node(NodeId(2))]);
            *plan = script.plan();
        }),
        ("the element of a loop outside it", |plan| job(plan, 2).inputs = vec![Input::Loop(NodeId(3))]),
        ("a part of the element of a loop outside it", |plan| {
            job(plan, 2).inputs = vec![Input::LoopPart(NodeId(3), 0)];
        }),
        ("an unknown operation on lists", |plan| plan.steps[2].language = Language::Builtin),
        ("an operation on no list", |plan| {
            (plan.steps[2].language, plan.steps[2].function) = (Language::Builtin, "merge".to_owned());
            job(plan, 2).inputs.clear();
        }),
        ("an operation on a value", |plan| {
            (plan.steps[2].language, plan.steps[2].function) = (Language::Builtin, "merge".to_owned());
            job(plan, 2).inputs.push(Input::Literal(vec![0x80].into()));
        }),
        ("the rounds of a loop that gathers nothing", |plan| {
            let mut script = Script::new();
            let source = script.call(&["source"], &[]);
            let each = script.each(source, |script, x| script.call(&["c"], &[x]));
            script.call(&["d"], &[Input::Gather(each)]);
            *plan = script.plan();
        }),
        ("a loop gathering itself", |plan| {
            fan_out(plan).gather = Some(NodeId(4));
            inner(plan).inputs = vec![Input::Gather(NodeId(3))];
        }),
        ("a chain with a second input", |plan| job(plan, 1).inputs.push(Input::Node(NodeId(0)))),
        ("a chain without its input", |plan| job(plan, 1).inputs.clear()),
        ("a call that begins elsewhere", |plan| plan.calls[0].first = NodeId(1)),
        ("a call that ends elsewhere", |plan| plan.calls[0].last = NodeId(0)),
        ("a call over two blocks", |plan| inner(plan).call = CallIndex(0)),
        ("two nodes with one id", |plan| job(plan, 2).id = NodeId(1)),
        ("a gap in the ids", |plan| inner(plan).id = NodeId(7)),
        ("an id that is too large", |plan| inner(plan).id = NodeId(u32::MAX)),
        ("a loop over the middle of a call", |plan| fan_out(plan).over = NodeId(0)),
        ("a loop over itself", |plan| fan_out(plan).over = NodeId(3)),
        ("a loop that gathers from outside", |plan| fan_out(plan).gather = Some(NodeId(2))),
        ("no scope", |plan| plan.steps[0].settings.scope.clear()),
        ("a rate of nothing", |plan| plan.steps[0].settings.rate = Some(Rate { count: 0, per_ms: 1, by: None })),
        ("a rate by nothing", |plan| {
            plan.steps[0].settings.rate = Some(Rate { count: 1, per_ms: 1, by: Some(String::new()) });
        }),
        ("a limit of nothing", |plan| plan.steps[0].settings.at_most = Some(AtMost { count: 0, by: None })),
        ("a limit by nothing", |plan| {
            plan.steps[0].settings.at_most = Some(AtMost { count: 1, by: Some(String::new()) });
        }),
        ("a rate and a limit by different fields", |plan| {
            plan.steps[0].settings.rate = Some(Rate { count: 1, per_ms: 1, by: None });
            plan.steps[0].settings.at_most = Some(AtMost { count: 1, by: Some("host".into()) });
        }),
        ("keyword arguments that are too long", |plan| {
            plan.steps[0].settings.keywords = Some(vec![0; INLINE_LIMIT + 1].into());
        }),
        ("a name that is too long", |plan| plan.steps[0].name = "x".repeat(2000)),
        ("too many nested loops", |plan| {
            let body = std::mem::take(&mut fan_out(plan).body);
            let deep = |body: Vec<Node>, plan: &mut Plan| {
                vec![Node::ForEach(bue_model::ForEach { body, ..fan_out(plan).clone() })]
            };
            let body = (0..40).fold(body, |body, _| deep(body, plan));
            fan_out(plan).body = body;
        }),
    ];
    world.store.submit(world.time(), submission(1, good())).await.expect("the good plan");
    for (number, (what, corrupt)) in (2..).zip(corrupted) {
        let mut plan = good();
        corrupt(&mut plan);
        let refused = world.store.submit(world.time(), submission(number, plan)).await;
        assert!(matches!(refused, Err(HubError::Plan(_))), "{what}: {refused:?}");
    }
    let mut without_code = submission(99, good());
    without_code.code.pop();
    let refused = world.store.submit(world.time(), without_code).await;
    assert!(matches!(refused, Err(HubError::Plan(PlanError::Code { steps: 4, bundles: 3 }))));
    assert_eq!(world.store.runs(100).await.expect("runs").len(), 1);
}
