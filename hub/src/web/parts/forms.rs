//! Fields, filters and buttons that change something. Plain forms, which work without scripts.

use bue_model::wire::FieldError;
use maud::{Markup, html};

use crate::web::parts::texts::visible;

/// A field with its label.
pub(in crate::web) fn text_field(name: &str, label: &str, value: &str, placeholder: &str) -> Markup {
    html! {
        label.field {
            span { (label) }
            input name=(name) value=(value) placeholder=(placeholder) spellcheck="false" autocomplete="off" maxlength="1000";
        }
    }
}

/// A choice, with its label. Each option is a value and its text; the one with the current value is chosen.
pub(in crate::web) fn select(name: &str, label: &str, options: &[(&str, &str)], current: &str) -> Markup {
    html! {
        label.field {
            span { (label) }
            select name=(name) {
                @for (value, text) in options { option value=(value) selected[*value == current] { (text) } }
            }
        }
    }
}

/// Fields that the user does not see.
pub(in crate::web) fn hidden<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Markup {
    html! { @for (name, value) in pairs { input type="hidden" name=(name) value=(value); } }
}

/// A form that asks for a page with filters. `is_filtered` adds the link to all.
pub(in crate::web) fn filter_form(path: &str, is_filtered: bool, fields: &Markup) -> Markup {
    html! {
        form.filters method="get" action=(path) role="search" {
            (fields)
            div.field { button type="submit" { "Filter" } @if is_filtered { " " a href=(path) { "show all" } } }
        }
    }
}

/// A button that changes something.
pub(in crate::web) fn action_button(path: &str, label: &str, class: &str, explanation: &str) -> Markup {
    html! {
        form.action method="post" action=(path) { button type="submit" class=(class) title=(explanation) { (label) } }
    }
}

/// What a dangerous action would change, and the button that does it.
pub(in crate::web) struct Confirmation<'a> {
    pub(in crate::web) question: String,
    pub(in crate::web) details: Markup,
    /// Where the form is sent.
    pub(in crate::web) path: &'a str,
    /// The fields that are sent again.
    pub(in crate::web) fields: Vec<(&'a str, &'a str)>,
    pub(in crate::web) button: &'a str,
    /// Where to go back to.
    pub(in crate::web) back: &'a str,
}

pub(in crate::web) fn confirmation(asked: &Confirmation<'_>) -> Markup {
    html! {
        form.card.confirm method="post" action=(asked.path) {
            // the focus is beside the buttons: a key that is held down for too long must not confirm anything
            p.question tabindex="-1" autofocus { strong { (asked.question) } }
            (asked.details)
            (hidden(asked.fields.iter().copied().chain([("confirmed", "1")])))
            div.buttons {
                button.danger type="submit" { (asked.button) }
                a.button href=(asked.back) { "Back" }
            }
        }
    }
}

/// A message above a page: what was done, or what is wrong.
pub(in crate::web) fn notice(class: &str, message: &str) -> Markup {
    html! { p class={ "notice " (class) } role="status" { (visible(message)) } }
}

/// What is wrong with a form apart from the fields that it shows.
pub(in crate::web) fn problem_notices<'a>(problems: impl Iterator<Item = &'a FieldError>) -> Markup {
    html! {
        @for FieldError { field, message } in problems {
            p.notice.bad role="alert" { code { (visible(field)) } ": " (visible(message)) }
        }
    }
}

/// A text with a button that copies it, which is shown only if the module runs.
pub(in crate::web) fn copyable(text: &str) -> Markup {
    html! { span.copyable { code { (text) } button.copy type="button" data-copy=(text) hidden { "Copy" } } }
}
