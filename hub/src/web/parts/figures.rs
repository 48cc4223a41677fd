//! Figures with their explanations. A tooltip is for the mouse; the same text opens with a button for keyboards and touch.

use maud::{Markup, html};

/// A term with an explanation.
pub(in crate::web) fn explained(term: &str, explanation: &str) -> Markup {
    html! {
        span.term title=(explanation) { (term) }
        (help(term, explanation))
    }
}

/// A small button that shows a text.
pub(in crate::web) fn help(term: &str, explanation: &str) -> Markup {
    html! { details.help { summary aria-label={ "What is “" (term) "”?" } { "?" } p { (explanation) } } }
}

/// A number with its name, what it means, and what else belongs to it: a chart, or a part of it.
pub(in crate::web) struct Figure<'a> {
    pub(in crate::web) label: &'a str,
    pub(in crate::web) value: String,
    pub(in crate::web) explanation: &'a str,
    /// Where a click leads; empty for nowhere.
    pub(in crate::web) link: &'a str,
    /// The class of the number, such as a state.
    pub(in crate::web) class: &'a str,
    pub(in crate::web) more: Markup,
}

pub(in crate::web) fn figure(figure: &Figure<'_>) -> Markup {
    let Figure { label, value, explanation, link, class, more } = figure;
    html! {
        div class={ "figure " (class) @if value == "0" { " zero" } } {
            dt { (explained(label, explanation)) }
            dd {
                span.number { @if link.is_empty() { (value) } @else { a href=(link) { (value) } } }
                (more)
            }
        }
    }
}

/// A row of figures.
pub(in crate::web) fn figures(all: &[Figure<'_>]) -> Markup {
    html! { dl.figures { @for one in all { (figure(one)) } } }
}

/// A list of names and values.
pub(in crate::web) fn definitions(entries: &[(Markup, Markup)]) -> Markup {
    html! { dl.definitions { @for (term, value) in entries { dt { (term) } dd { (value) } } } }
}

/// What a page says where there is nothing, and what to type.
pub(in crate::web) fn empty_state(message: &str, command: &str) -> Markup {
    html! {
        div.empty {
            p { (message) }
            @if !command.is_empty() { p { "Type " code { (command) } } }
        }
    }
}

/// A card with a heading. With an id, the module keeps it up to date.
pub(in crate::web) fn card(id: &str, heading: &str, body: &Markup) -> Markup {
    html! { section.card id=(id) data-live aria-labelledby={ (id) "-h" } { h2 id={ (id) "-h" } { (heading) } (body) } }
}
