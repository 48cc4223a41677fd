//! A run in short: its state, its counts, and what it is a run of.

use bue_model::JobState;
use bue_model::wire::RunView;
use maud::{Markup, html};

use super::tab::path;
use crate::web::parts::badges::{counts_of, meaning, run_badge, state_bar};
use crate::web::parts::figures::{Figure, definitions, figures};
use crate::web::parts::forms::notice;
use crate::web::parts::texts::{counted, grouped, text};
use crate::web::parts::times::{between, when};
use crate::web::visit::Visit;

pub(super) fn summary(visit: &Visit, view: &RunView) -> Markup {
    let counts = counts_of(&view.counts);
    let figure = |(state, count): &(JobState, u64)| Figure {
        label: state.name(),
        value: grouped(*count),
        explanation: meaning(*state),
        link: "",
        class: state.name(),
        more: html! {},
    };
    let all: Vec<_> = counts.iter().map(figure).collect();
    html! {
        section.card #summary data-live aria-label="The run in short" {
            div.row { (run_badge(view.state)) (state_bar(&counts)) }
            @for idle in &view.unserved {
                (notice("bad", &format!(
                    "No worker serves the scope `{}`, so {} wait. Type `bue worker -s {}`.",
                    idle.scope, counted(idle.jobs, "job", "jobs"), idle.scope
                )))
            }
            (figures(&all))
            (definitions(&facts(visit, view)))
        }
    }
}

fn facts(visit: &Visit, view: &RunView) -> Vec<(Markup, Markup)> {
    let ended = view.finished_at.unwrap_or(view.now);
    let mut facts = vec![
        (html! { "Run" }, html! { code { (view.id) } }),
        (html! { "Started" }, when(visit.now, view.created_at)),
        (
            html! { abbr title="from its start to its end, or until now" { @if view.finished_at.is_some() { "Took" } @else { "Running for" } } },
            html! { (between(view.created_at, ended)) },
        ),
    ];
    if let Some(eta) = view.eta {
        facts.push((html! { abbr title="at the rate of the last minutes" { "Ends about" } }, when(visit.now, eta)));
    }
    if let Some(pipeline) = &view.pipeline {
        let link = html! { a href=(format!("/pipelines/{}", pipeline.name)) { (text(&pipeline.name)) } " version " (pipeline.version) };
        facts.push((html! { "Pipeline" }, link));
    }
    if let Some(original) = view.rerun_of {
        let links = html! { a href=(path(original)) { code { (original) } } " · " a href=(format!("{}/diff/{original}", path(view.id))) { "what differs" } };
        facts.push((html! { "Repeats" }, links));
    }
    facts
}
