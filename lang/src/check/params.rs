//! Values for the parameters of a script.

use std::collections::BTreeMap;

use bue_model::Plan;
use bue_model::param::{Argument, Param, ParamError, ParamProblem, RunTime, bind};

use crate::compile::Compiled;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::diagnostic::Diagnostic;
use crate::diagnostics::list::Diagnostics;
use crate::diagnostics::suggest::Suggester;
use crate::source::{Script, Span};
use crate::text::{backquoted, shortened};

/// Returns the plan of a compiled script with a value in the place of each parameter.
///
/// # Errors
/// A diagnostic for each parameter that is missing or does not fit, at its declaration, and for each name that is none.
pub fn bind_params(
    script: Script<'_>,
    compiled: &Compiled,
    plan: Plan,
    given: BTreeMap<String, Argument>,
    time: &RunTime,
) -> Result<Plan, Vec<Diagnostic>> {
    let params = plan.params.clone();
    let texts = given.iter().map(|(name, argument)| (name.clone(), argument.to_string())).collect();
    let problems = Problems { params: &params, texts, spans: &compiled.source_map.params };
    bind(plan, given, time).map_err(|errors| {
        let mut diagnostics = Diagnostics::new(script);
        errors.iter().for_each(|error| diagnostics.add(problems.diagnostic(error)));
        diagnostics.finish()
    })
}

struct Problems<'a> {
    params: &'a [Param],
    /// What was given for each name.
    texts: BTreeMap<String, String>,
    spans: &'a [Span],
}

impl Problems<'_> {
    fn diagnostic(&self, error: &ParamError) -> DiagnosticBuilder {
        let ParamError { name, problem } = error;
        let declared = self.params.iter().zip(self.spans).find(|(param, _)| param.name == *name);
        match (problem, declared) {
            (ParamProblem::Unfit(problem), Some((param, span))) => self.unfit(param, *span, problem),
            (ParamProblem::Missing, Some((param, span))) => missing(param, *span),
            _ => self.unknown(name),
        }
    }

    fn unfit(&self, param: &Param, span: Span, problem: &str) -> DiagnosticBuilder {
        const MAX_CHARS: usize = 100;
        let text = self.texts.get(&param.name).map(|text| shortened(text, MAX_CHARS)).unwrap_or_default();
        let message = format!("the value {} of the parameter {} {problem}", backquoted(&text), backquoted(&param.name));
        DiagnosticBuilder::new(codes::UNUSABLE_ARGUMENT, span, message).label(param.kind.with_article()).hint(format!(
            "for example `--param {}={}`",
            param.name,
            example(param)
        ))
    }

    fn unknown(&self, name: &str) -> DiagnosticBuilder {
        let message = format!("there is no parameter {}", backquoted(name));
        let span = self.spans.first().copied().unwrap_or(Span { start: 0, end: 0 });
        let names = || self.params.iter().map(|param| param.name.as_str());
        let hint = match Suggester::default().nearest(name, names()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if self.params.is_empty() => format!("declare it in the script: `param {name}: text`"),
            None => format!("the script has {}", names().map(backquoted).collect::<Vec<_>>().join(", ")),
        };
        DiagnosticBuilder::new(codes::UNKNOWN_PARAM, span, message).hint(hint)
    }
}

fn missing(param: &Param, span: Span) -> DiagnosticBuilder {
    let message = format!("the parameter {} has no value", backquoted(&param.name));
    DiagnosticBuilder::new(codes::MISSING_ARGUMENT, span, message).hint(format!(
        "give it one, `--param {}={}`, or a default in the script",
        param.name,
        example(param)
    ))
}

/// A value that the parameter takes, as one types it.
fn example(param: &Param) -> String {
    let example = param.example();
    if example.contains([' ', '"', '{', '[']) { format!("'{example}'") } else { example }
}
