//! Every kind of answer in every form in which a function can give it: returned or yielded last, by a function, an `async def`,
//! a generator or an async generator. Each combination is a function of one generated module, which is called and looped over.

use bue_model::{Answer, Json, Value, cbor};
use bue_runtime::Finished;

use crate::common::{python, run, stream};

const IMPORTS: &str = "import asyncio\nfrom bue import Result, StepStatus\n\n";

/// What an answer means.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// A result. The JSON of it, and of the elements that a loop runs over; `None` if it is no list.
    Data { value: &'static str, elements: Option<&'static str> },
    /// Success without data: what a generator yielded before is the result.
    NoData,
    /// Anything but success, as [`outcome`] writes it. What was yielded before is discarded.
    Other(&'static str),
}

const LIST: Meaning = Meaning::Data { value: "[7]", elements: Some("[7]") };
const MAP: Meaning = Meaning::Data { value: r#"{"a":7}"#, elements: None };

const ANSWERS: &[(&str, Meaning)] = &[
    ("Result()", Meaning::NoData),
    ("Result(status=StepStatus.success)", Meaning::NoData),
    ("StepStatus.success", Meaning::NoData),
    ("(StepStatus.success,)", Meaning::NoData),
    ("(StepStatus.success, None)", Meaning::NoData),
    ("Result(data=[7])", LIST),
    ("Result(data=(7,))", LIST),
    ("Result(data={'a': 7})", MAP),
    ("Result(data=map(int, '7'))", LIST),
    ("Result(status=StepStatus.success, data=[7])", LIST),
    ("(StepStatus.success, [7])", LIST),
    ("(StepStatus.success, {}, [7])", LIST),
    ("(StepStatus.success, {}, None, [7])", LIST),
    ("(StepStatus.success, {}, None, 1.5, [7])", LIST),
    ("Result(status=StepStatus.pending)", Meaning::Other("pending")),
    ("Result(status=StepStatus.pending, delay=1.5)", Meaning::Other("pending 1500")),
    ("Result(status='pending', data=[7])", Meaning::Other("pending")),
    ("Result(status=3)", Meaning::Other("pending")),
    ("StepStatus.pending", Meaning::Other("pending")),
    ("(StepStatus.pending,)", Meaning::Other("pending")),
    ("(StepStatus.pending, [7])", Meaning::Other("pending")),
    ("(StepStatus.pending, {}, [7])", Meaning::Other("pending")),
    ("Result(status=StepStatus.reset, delay=2)", Meaning::Other("reset 2000")),
    ("StepStatus.reset", Meaning::Other("reset")),
    ("(StepStatus.reset, None)", Meaning::Other("reset")),
    ("Result(status=StepStatus.cancel)", Meaning::Other("cancelled")),
    ("StepStatus.cancel", Meaning::Other("cancelled")),
    ("(StepStatus.cancel, 1)", Meaning::Other("cancelled")),
    ("Result(status=StepStatus.error, data='it is gone')", Meaning::Other("raised: it is gone")),
    ("StepStatus.error", Meaning::Other("raised: the step returned error without a message (data=…)")),
    ("(StepStatus.error, 'it is gone')", Meaning::Other("raised: it is gone")),
    ("Result(status=StepStatus.queued)", Meaning::Other("bad_result: `queued` is not an answer of a step")),
    ("StepStatus.working", Meaning::Other("bad_result: `working` is not an answer of a step")),
    ("(StepStatus.unknown, 1)", Meaning::Other("bad_result: `unknown` is not an answer of a step")),
    ("Result(status='nope')", Meaning::Other("bad_result: 'nope' is not a status")),
    (
        "(StepStatus.success, 1, 2, 3, 4, 5)",
        Meaning::Other("bad_result: a tuple that begins with a StepStatus has at most 5"),
    ),
];

/// Plain values. Yielded, they are elements.
const VALUES: &[(&str, Meaning)] = &[
    ("[7]", LIST),
    ("(7,)", LIST),
    ("{'a': 7}", MAP),
    ("None", Meaning::NoData),
    ("7", Meaning::Data { value: "7", elements: None }),
    ("'text'", Meaning::Data { value: r#""text""#, elements: None }),
];

/// Iterables, which are lists as results, and no values inside others.
const ITERABLES: &[(&str, Meaning)] = &[
    ("range(7, 8)", LIST),
    ("map(int, '7')", LIST),
    ("filter(None, [0, 7])", LIST),
    ("zip([7])", Meaning::Data { value: "[[7]]", elements: Some("[[7]]") }),
    ("enumerate('x')", Meaning::Data { value: r#"[[0,"x"]]"#, elements: Some(r#"[[0,"x"]]"#) }),
    ("reversed([7])", LIST),
    ("iter([7])", LIST),
    ("{7: 1}.keys()", LIST),
    ("{1: 7}.values()", LIST),
    ("{1: 7}.items()", Meaning::Data { value: "[[1,7]]", elements: Some("[[1,7]]") }),
    ("(number for number in [7])", LIST),
];

/// What a table's answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Status,
    Value,
    Iterable,
}

/// How a function gives its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A function returns it.
    Returned,
    /// A generator returns it without having yielded anything.
    ReturnedAtOnce,
    /// It is all that a generator yields.
    Yielded,
    /// A generator returns it after elements.
    ReturnedAfterElements,
    /// A generator yields it as its last element.
    YieldedLast,
    /// A generator yields elements after it.
    YieldedBetween,
}

const FORMS: &[(Form, &str)] = &[
    (Form::Returned, "def NAME():\n    return ANSWER\n"),
    (Form::Returned, "async def NAME():\n    await asyncio.sleep(0)\n    return ANSWER\n"),
    (Form::ReturnedAtOnce, "def NAME():\n    return ANSWER\n    yield\n"),
    (
        Form::ReturnedAtOnce,
        "async def NAME():\n    def inner():\n        return ANSWER\n        yield\n    return inner()\n",
    ),
    (Form::Yielded, "def NAME():\n    yield ANSWER\n"),
    (Form::Yielded, "async def NAME():\n    yield ANSWER\n"),
    (Form::ReturnedAfterElements, "def NAME():\n    yield 1\n    yield 2\n    return ANSWER\n"),
    (
        Form::ReturnedAfterElements,
        "def NAME():\n    def inner():\n        yield 1\n        yield 2\n        return ANSWER\n    return (yield from inner())\n",
    ),
    (Form::YieldedLast, "def NAME():\n    yield 1\n    yield 2\n    yield ANSWER\n"),
    (Form::YieldedLast, "async def NAME():\n    yield 1\n    await asyncio.sleep(0)\n    yield 2\n    yield ANSWER\n"),
    (
        Form::YieldedLast,
        "async def NAME():\n    def inner():\n        yield 1\n        yield 2\n        yield ANSWER\n    return inner()\n",
    ),
    (Form::YieldedBetween, "def NAME():\n    yield 1\n    yield ANSWER\n    yield 2\n"),
    (Form::YieldedBetween, "async def NAME():\n    yield 1\n    yield ANSWER\n    yield 2\n"),
];

/// A row of the table: an answer and the function that gives it.
#[derive(Clone, Copy, Debug)]
struct Row {
    answer: &'static str,
    meaning: Meaning,
    kind: Kind,
    form: Form,
    code: &'static str,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (kind, answers) in [(Kind::Status, ANSWERS), (Kind::Value, VALUES), (Kind::Iterable, ITERABLES)] {
        for &(answer, meaning) in answers {
            rows.extend(FORMS.iter().map(|&(form, code)| Row { answer, meaning, kind, form, code }));
        }
    }
    rows
}

#[tokio::test]
async fn an_answer_means_the_same_in_every_form() {
    let rows = rows();
    let name = |index: usize| format!("f{index}");
    let function = |(index, row): (usize, &Row)| row.code.replace("NAME", &name(index)).replace("ANSWER", row.answer);
    let functions: Vec<_> = rows.iter().enumerate().map(function).collect();
    let text = format!("{IMPORTS}{}", functions.join("\n"));
    let mut wrong = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let task = || python(&text, &name(index), &[]);
        let called = outcome(&run(&task()).await, None);
        let (finished, elements) = stream(&mut task()).await;
        let looped = outcome(&finished, Some(elements));
        for (outcome, in_loop) in [(called, false), (looped, true)] {
            let expected = row.expected(in_loop);
            if !outcome.starts_with(&expected) {
                let function = &functions[index];
                wrong.push(format!("{function}(loop: {in_loop}) must give\n  {expected}\nand gives\n  {outcome}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), 2 * rows.len(), wrong.join("\n"));
}

impl Row {
    /// The beginning of what [`outcome`] has to be.
    fn expected(self, in_loop: bool) -> String {
        let is_yielded = matches!(self.form, Form::Yielded | Form::YieldedLast | Form::YieldedBetween);
        match self.kind {
            Kind::Status if self.form == Form::YieldedBetween => "bad_result: result[1] is ".to_owned(),
            Kind::Value if is_yielded => self.with_element(),
            Kind::Iterable if is_yielded => "bad_result: result[".to_owned(),
            _ => self.answered(in_loop),
        }
    }

    /// Where it is the answer.
    fn answered(self, in_loop: bool) -> String {
        let has_elements = matches!(self.form, Form::ReturnedAfterElements | Form::YieldedLast);
        let not_a_list = || "bad_result: `for row in rows() (line 3)` needs a list".to_owned();
        match self.meaning {
            Meaning::Other(outcome) => outcome.to_owned(),
            Meaning::NoData if has_elements => "completed [1,2]".to_owned(),
            Meaning::NoData if self.form != Form::Returned => "completed []".to_owned(),
            Meaning::NoData if in_loop => not_a_list(),
            Meaning::NoData => "completed null".to_owned(),
            Meaning::Data { .. } if has_elements => {
                "bad_result: the generator yielded 2 elements and then returned ".to_owned()
            }
            Meaning::Data { elements, .. } if in_loop => {
                elements.map_or_else(not_a_list, |elements| format!("completed {elements}"))
            }
            Meaning::Data { value, .. } => format!("completed {value}"),
        }
    }

    /// Where it is one of the elements.
    fn with_element(self) -> String {
        let value = match self.meaning {
            Meaning::Data { value, .. } => value,
            _ => "null",
        };
        match self.form {
            Form::Yielded => format!("completed [{value}]"),
            Form::YieldedLast => format!("completed [1,2,{value}]"),
            _ => format!("completed [1,{value},2]"),
        }
    }
}

/// `completed [1,2]`, `pending 1500`, `raised: message`.
fn outcome(finished: &Finished, elements: Option<Vec<Value>>) -> String {
    let delayed = |name: &str, delay_ms: &Option<u64>| match delay_ms {
        Some(delay_ms) => format!("{name} {delay_ms}"),
        None => name.to_owned(),
    };
    match &finished.answer {
        Answer::Completed { value, .. } => {
            let value = elements.map_or_else(|| cbor::decode(value).expect("CBOR"), Value::List);
            format!("completed {}", serde_json::to_string(&Json(&value)).expect("JSON"))
        }
        Answer::Pending { delay_ms, .. } => delayed("pending", delay_ms),
        Answer::Reset { delay_ms } => delayed("reset", delay_ms),
        Answer::Cancelled => "cancelled".to_owned(),
        Answer::Failed(failure) => format!("{}: {}", failure.kind.name(), failure.message),
    }
}
