//! A script as it is written: names are unresolved and the order is kept. Broken statements are kept as far as they were parsed.

use std::borrow::Cow;

use std::collections::HashSet;

use bue_model::param::{ParamKind, TimeDefault};
use bue_model::{Language, Value};

use crate::settings::value::SettingValue;
use crate::source::Span;

/// A parsed script.
pub(crate) struct Tree<'a> {
    /// The statements that could be parsed, at least in part.
    pub(crate) block: Block<'a>,
    /// Words of the statements that could not. One of them may define a name that seems to be unknown.
    pub(crate) unparsed_words: HashSet<&'a str>,
    /// For the formatter.
    pub(crate) layout: Layout,
}

/// How the lines of a script nest, and which of its texts are not tokens.
pub(crate) struct Layout {
    /// For each line with something on it, in order: how many units it should be indented.
    pub(crate) depths: Vec<u32>,
    /// Paths, functions, languages and values of settings, in order.
    pub(crate) raw: Vec<Span>,
    /// The indentation unit that the last `TAB` set.
    pub(crate) unit: String,
}

/// Statements at one indentation.
#[derive(Debug, Default)]
pub(crate) struct Block<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
}

/// One statement.
#[derive(Debug)]
pub(crate) enum Statement<'a> {
    /// `TAB = …`, which takes effect while parsing.
    Tab,
    Setting(Setting),
    Step(StepDefinition<'a>),
    Import(Import<'a>),
    Pipe(Pipe<'a>),
    Call(CallStatement<'a>),
    Loop(Loop<'a>),
    Finally(FinallyBlock<'a>),
    Gather(Gather<'a>),
    Param(ParamStatement<'a>),
}

/// A name without quotes, with single spaces.
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

/// A step's code, or where it is.
#[derive(Clone, Debug)]
pub(crate) struct Code<'a> {
    /// Quotes or fences included.
    pub(crate) span: Span,
    pub(crate) kind: CodeKind<'a>,
}

/// A path, or the code itself.
#[derive(Clone, Debug)]
pub(crate) enum CodeKind<'a> {
    Path(&'a str),
    /// The text between the fences, unchanged.
    Inline(&'a str),
}

/// `p = a | b`
#[derive(Debug)]
pub(crate) struct Pipe<'a> {
    pub(crate) name: Name<'a>,
    pub(crate) chain: Vec<Link<'a>>,
    /// Whether a part of the chain could not be parsed.
    pub(crate) broken: bool,
}

/// A part of a pipe, between two bars.
#[derive(Debug)]
pub(crate) enum Link<'a> {
    Step(Name<'a>),
    Fusion(Fusion<'a>),
}

/// `[a | b]`
#[derive(Debug)]
pub(crate) struct Fusion<'a> {
    /// The brackets included.
    pub(crate) span: Span,
    pub(crate) stages: Vec<Name<'a>>,
}

/// `r = p(a)`
#[derive(Debug)]
pub(crate) struct CallStatement<'a> {
    pub(crate) result: Option<Name<'a>>,
    /// `None` if it could not be parsed.
    pub(crate) call: Option<Call<'a>>,
}

/// `p(a, q())`
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) target: Name<'a>,
    pub(crate) arguments: Vec<Argument<'a>>,
    pub(crate) span: Span,
}

/// An argument of a call.
#[derive(Debug)]
pub(crate) enum Argument<'a> {
    Name(Name<'a>),
    Call(Call<'a>),
    Literal(Literal),
}

/// A value in JSON notation.
#[derive(Debug)]
pub(crate) struct Literal {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// `param depth: int = 3 (1..10)`
#[derive(Debug)]
pub(crate) struct ParamStatement<'a> {
    pub(crate) name: Name<'a>,
    /// `None` if the declaration could not be parsed.
    pub(crate) kind: Option<ParamKind>,
    pub(crate) default: Option<DefaultValue>,
    pub(crate) allowed: Option<AllowedValues>,
}

/// What a parameter is if its caller leaves it out.
#[derive(Debug)]
pub(crate) enum DefaultValue {
    Literal(Literal),
    Time(Span, TimeDefault),
}

/// The values that a parameter takes.
#[derive(Debug)]
pub(crate) enum AllowedValues {
    /// `(1..10)`; at least one of the ends is there.
    Range(Span, Option<Literal>, Option<Literal>),
    /// `("fast", "full")`
    OneOf(Vec<Literal>),
}

/// `for x in p():`
#[derive(Debug)]
pub(crate) struct Loop<'a> {
    /// The word `for`.
    pub(crate) span: Span,
    /// `None` if it could not be parsed.
    pub(crate) head: Option<LoopHead<'a>>,
    pub(crate) body: Block<'a>,
}

/// `x in p()`, `x, y in zip(p(), q())`
#[derive(Debug)]
pub(crate) struct LoopHead<'a> {
    /// At least one.
    pub(crate) variables: Vec<Name<'a>>,
    pub(crate) source: LoopSource<'a>,
}

/// `p()`, `p() + q() !chunk 64 !window 200`
#[derive(Debug)]
pub(crate) struct LoopSource<'a> {
    /// At least one.
    pub(crate) calls: Vec<Call<'a>>,
    /// The number behind `!chunk`.
    pub(crate) chunk: Option<u32>,
    /// The number behind `!window`.
    pub(crate) window: Option<u32>,
    pub(crate) span: Span,
}

/// `finally:`
#[derive(Debug)]
pub(crate) struct FinallyBlock<'a> {
    /// The word `finally`.
    pub(crate) span: Span,
    pub(crate) body: Block<'a>,
}

/// `all = [p(x) for x in q()]`
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    pub(crate) result: Name<'a>,
    pub(crate) span: Span,
    /// `None` if it could not be parsed.
    pub(crate) parts: Option<GatherParts<'a>>,
}

/// The parts of a gather.
#[derive(Debug)]
pub(crate) struct GatherParts<'a> {
    pub(crate) call: Call<'a>,
    pub(crate) head: LoopHead<'a>,
}
