use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::tz::{Offset, TimeZone};

use super::*;
use crate::cbor;
use crate::ids::{CallIndex, NodeId, ParamIndex, StepIndex};
use crate::job::INLINE_LIMIT;
use crate::plan::{Input, JobNode, Node, PLAN_VERSION, Plan};
use crate::value::Value;

fn param(kind: ParamKind) -> Param {
    Param { name: "p".into(), kind, default: None, allowed: Allowed::All, line: 1 }
}

fn encoded(value: Value) -> Bytes {
    cbor::encode(&value).into()
}

fn plan(param: Param) -> Plan {
    let job =
        JobNode { id: NodeId(0), step: StepIndex(0), call: CallIndex(0), inputs: vec![Input::Param(ParamIndex(0))] };
    Plan {
        version: PLAN_VERSION,
        steps: Vec::new(),
        nodes: vec![Node::Job(job)],
        calls: Vec::new(),
        params: vec![param],
    }
}

fn time(text: &str, hours: i8) -> RunTime {
    RunTime { at: text.parse().expect("a time"), zone: TimeZone::fixed(Offset::from_hours(hours).expect("an offset")) }
}

fn bound(param: Param, given: Option<Value>, time: &RunTime) -> Result<Value, Vec<ParamError>> {
    let given: BTreeMap<_, _> = given.map(|value| ("p".to_owned(), Argument::Value(value))).into_iter().collect();
    let plan = resolve(bind(plan(param), given, time)?)?;
    match &plan.nodes[..] {
        [Node::Job(job)] => match &job.inputs[..] {
            [Input::Literal(bytes)] => Ok(cbor::decode(bytes).expect("a value")),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_kind_takes_its_texts_and_refuses_others() {
    type Row<'a> = (ParamKind, &'a [(&'a str, Value)], &'a [&'a str]);
    let table: &[Row<'_>] = &[
        (ParamKind::Text, &[("30", Value::Text("30".into())), ("", Value::Text(String::new()))], &[]),
        (
            ParamKind::Int,
            &[("30", Value::Int(30)), ("-1", Value::Int(-1))],
            &["x", "1.5", "1e3", "007", "", "true", "\"1\""],
        ),
        (
            ParamKind::Float,
            &[("0.5", Value::Float(0.5)), ("2", Value::Float(2.0))],
            &["x", "1e999", "9007199254740993"],
        ),
        (ParamKind::Bool, &[("true", Value::Bool(true)), ("false", Value::Bool(false))], &["True", "yes", "1", ""]),
        (
            ParamKind::Date,
            &[("2024-02-29", Value::Date("2024-02-29".into()))],
            &["2026-02-29", "2026-1-1", "20260101", "today", "2026-01-01T00:00:00", "01.02.2026"],
        ),
        (
            ParamKind::DateTime,
            &[
                ("2026-11-01T06:00:00Z", Value::DateTime("2026-11-01T06:00:00Z".into())),
                ("2026-11-01T06:00:00", Value::DateTime("2026-11-01T06:00:00".into())),
                ("2026-11-01T06:00:00.5+02:00", Value::DateTime("2026-11-01T06:00:00.5+02:00".into())),
            ],
            &[
                "2026-11-01",
                "06:00",
                "2026-13-01T06:00:00",
                "2026-11-01T25:00:00",
                "2026-11-01T06:00:00[Europe/Berlin]",
            ],
        ),
        (
            ParamKind::List,
            &[("[1, []]", Value::List(vec![Value::Int(1), Value::List(Vec::new())]))],
            &["1,2", "{}", "[1"],
        ),
        (
            ParamKind::Map,
            &[("{\"a\": null}", Value::Map(vec![(Value::Text("a".into()), Value::Null)]))],
            &["[]", "{\"a\": 1, \"a\": 2}"],
        ),
        (ParamKind::Json, &[("null", Value::Null), ("\"a\"", Value::Text("a".into()))], &["a", ""]),
    ];
    for (kind, good, bad) in table {
        for (text, value) in *good {
            assert_eq!(kind.read(text).as_ref(), Ok(value), "{kind:?} {text:?}");
        }
        for text in *bad {
            assert!(kind.read(text).is_err(), "{kind:?} {text:?}");
        }
        assert!(kind.read(kind.example()).is_ok(), "the example of {kind:?}");
        assert_eq!(ParamKind::from_name(kind.name()), Some(*kind));
    }
}

#[test]
fn numbers_of_json_are_exact() {
    let digits = "123456789012345678901234567890";
    assert_eq!(read_json(digits).ok(), Some(Value::integer(digits.parse().expect("digits"))));
    assert_eq!(
        read_json(" 18446744073709551616 ").ok(),
        Some(Value::integer("18446744073709551616".parse().expect("digits")))
    );
    assert_eq!(read_json("-0.0").ok().map(|value| format!("{value:?}")), Some("Float(-0.0)".into()));
    for refused in [
        "1e999",
        "[1e999]",
        "NaN",
        "01",
        "1 2",
        &"9".repeat(4301),
        &"[".repeat(70),
        &format!("{}{}", "[".repeat(70), "]".repeat(70)),
    ] {
        assert!(read_json(refused).is_err(), "{refused}");
    }
}

#[test]
fn a_range_includes_its_ends() {
    let range = |first: Option<i64>, last: Option<i64>| Param {
        allowed: Allowed::Range(first.map(|one| encoded(Value::Int(one))), last.map(|one| encoded(Value::Int(one)))),
        ..param(ParamKind::Int)
    };
    for (first, last, good, bad) in [
        (Some(1), Some(10), vec![1, 10, 5], vec![0, 11, -5]),
        (None, Some(3), vec![i64::MIN, 3], vec![4]),
        (Some(3), None, vec![3, i64::MAX], vec![2]),
    ] {
        let param = range(first, last);
        assert!(good.iter().all(|one| param.check(Value::Int(*one)).is_ok()), "{param:?}");
        assert!(bad.iter().all(|one| param.check(Value::Int(*one)).is_err()), "{param:?}");
    }
    let huge = Value::integer("99999999999999999999".parse().expect("digits"));
    assert_eq!(range(Some(1), Some(10)).check(huge), Err("is not in 1..10".into()));
    let dates = Param {
        allowed: Allowed::Range(Some(encoded(Value::Date("2026-01-01".into()))), None),
        ..param(ParamKind::Date)
    };
    assert!(dates.check(Value::Text("2026-01-01".into())).is_ok());
    assert_eq!(dates.check(Value::Text("2025-12-31".into())), Err("is not in \"2026-01-01\"..".into()));
    let nan = Param { allowed: Allowed::Range(Some(encoded(Value::Float(0.0))), None), ..param(ParamKind::Float) };
    assert!(nan.check(Value::Float(-0.5)).is_err());
}

#[test]
fn a_choice_is_one_of_its_values() {
    let choices = ["fast", "full"].map(|one| encoded(Value::Text(one.into()))).to_vec();
    let param = Param { allowed: Allowed::OneOf(choices), ..param(ParamKind::Text) };
    assert!(param.check(Value::Text("full".into())).is_ok());
    assert_eq!(param.check(Value::Text("slow".into())), Err("is none of \"fast\", \"full\"".into()));
}

#[test]
fn times_are_those_of_the_run_in_its_zone() {
    let with = |default, kind: ParamKind| Param { default: Some(ParamDefault::Time(default)), ..param(kind) };
    let late = time("2026-02-28T23:30:00Z", 1);
    assert_eq!(bound(with(TimeDefault::Today, ParamKind::Date), None, &late), Ok(Value::Date("2026-03-01".into())));
    assert_eq!(bound(with(TimeDefault::Yesterday, ParamKind::Date), None, &late), Ok(Value::Date("2026-02-28".into())));
    let at = bound(with(TimeDefault::ScheduledAt, ParamKind::DateTime), None, &late);
    assert_eq!(at, Ok(Value::DateTime("2026-02-28T23:30:00Z".into())));
    let utc = time("2026-02-28T23:30:00Z", 0);
    assert_eq!(bound(with(TimeDefault::Today, ParamKind::Date), None, &utc), Ok(Value::Date("2026-02-28".into())));
    let given = Some(Value::Text("2020-01-01".into()));
    assert_eq!(bound(with(TimeDefault::Today, ParamKind::Date), given, &utc), Ok(Value::Date("2020-01-01".into())));
}

#[test]
fn every_mistake_is_named_once() {
    let given =
        [("q".to_owned(), Argument::Value(Value::Int(1))), ("p".to_owned(), Argument::Value(Value::Int(1)))].into();
    let errors = bind(plan(param(ParamKind::Text)), given, &time("2026-01-01T00:00:00Z", 0)).expect_err("errors");
    let unfit = ParamProblem::Unfit("is an int, not a text".into());
    let expected = [("p", unfit), ("q", ParamProblem::Unknown)];
    assert_eq!(errors, expected.map(|(name, problem)| ParamError { name: name.into(), problem }));
    let missing = bound(param(ParamKind::Text), None, &time("2026-01-01T00:00:00Z", 0)).expect_err("errors");
    assert_eq!(missing, [ParamError { name: "p".into(), problem: ParamProblem::Missing }]);
    let long = Some(Value::Text("x".repeat(INLINE_LIMIT + 1)));
    assert!(bound(param(ParamKind::Text), long, &time("2026-01-01T00:00:00Z", 0)).is_err());
}
