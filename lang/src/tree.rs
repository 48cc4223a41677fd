//! A script as it is written: names not looked up, order kept, whatever could be read of what is broken.

use std::borrow::Cow;

use bue_model::Language;
use bue_model::plan::{Capability, Rate};

use crate::source::Span;

/// Statements at one indentation.
#[derive(Debug, Default)]
pub(crate) struct Block<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
}

/// One statement.
#[derive(Debug)]
pub(crate) enum Statement<'a> {
    /// Has done its work while parsing.
    Tab,
    Setting(Setting),
    Step(StepDefinition<'a>),
    Import(Import<'a>),
    Pipe(Pipe<'a>),
    Call(CallStatement<'a>),
    Loop(Loop<'a>),
    Gather(Gather<'a>),
}

/// A name without quotes, single-spaced.
#[derive(Clone, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) span: Span,
}

/// A line that begins with `!`, `$` or `@`, or such a part of an import item.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) span: Span,
    pub(crate) value: SettingValue,
}

/// What a setting sets.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SettingValue {
    Scope(String),
    Priority(i64),
    /// Seconds.
    Timeout(f64),
    Retries(u32),
    /// Milliseconds, first and last.
    Every(u64, u64),
    /// Milliseconds.
    PendingLimit(u64),
    Rate(Rate),
    /// `@ name`: limits nothing.
    Tag,
    Allow(Vec<Capability>),
    Requires(Vec<String>),
}

/// `name:` and its lines. What is missing is `None` and has been reported.
#[derive(Debug)]
pub(crate) struct StepDefinition<'a> {
    pub(crate) name: Name<'a>,
    pub(crate) settings: Vec<Setting>,
    pub(crate) language: Option<Language>,
    pub(crate) function: Option<Name<'a>>,
    pub(crate) code: Option<Code<'a>>,
}

/// `import python (f as a, g) file`
#[derive(Debug)]
pub(crate) struct Import<'a> {
    pub(crate) language: Option<Language>,
    pub(crate) items: Vec<Item<'a>>,
    pub(crate) code: Option<Code<'a>>,
}

/// `f as a !priority 3`
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub(crate) function: Name<'a>,
    /// The alias, or the function itself.
    pub(crate) name: Name<'a>,
    pub(crate) settings: Vec<Setting>,
}

/// Where a step's code is.
#[derive(Clone, Debug)]
pub(crate) struct Code<'a> {
    /// Quotes or fences included.
    pub(crate) span: Span,
    pub(crate) kind: CodeKind<'a>,
}

/// A path or the code itself.
#[derive(Clone, Debug)]
pub(crate) enum CodeKind<'a> {
    Path(&'a str),
    /// The text between the fences, as it stands there.
    Inline(&'a str),
}

/// `p = a | b`
#[derive(Debug)]
pub(crate) struct Pipe<'a> {
    pub(crate) name: Name<'a>,
    pub(crate) chain: Vec<Name<'a>>,
    /// The chain could not be read to its end.
    pub(crate) broken: bool,
}

/// `r = p(a)`
#[derive(Debug)]
pub(crate) struct CallStatement<'a> {
    pub(crate) result: Option<Name<'a>>,
    /// `None` if it could not be read.
    pub(crate) call: Option<Call<'a>>,
}

/// `p(a, q())`
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) target: Name<'a>,
    pub(crate) arguments: Vec<Argument<'a>>,
    pub(crate) span: Span,
}

/// What stands between a call's parentheses.
#[derive(Debug)]
pub(crate) enum Argument<'a> {
    Name(Name<'a>),
    Call(Call<'a>),
}

/// `for x in p():`
#[derive(Debug)]
pub(crate) struct Loop<'a> {
    /// The word `for`.
    pub(crate) span: Span,
    pub(crate) variable: Option<Name<'a>>,
    pub(crate) source: Option<Call<'a>>,
    pub(crate) body: Block<'a>,
}

/// `all = [p(x) for x in q()]`
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    pub(crate) result: Name<'a>,
    pub(crate) span: Span,
    /// `None` if it could not be read.
    pub(crate) parts: Option<GatherParts<'a>>,
}

/// The three parts of a gather.
#[derive(Debug)]
pub(crate) struct GatherParts<'a> {
    pub(crate) call: Call<'a>,
    pub(crate) variable: Name<'a>,
    pub(crate) source: Call<'a>,
}
