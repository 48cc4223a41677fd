//! Why a text is not a value of a setting.

use crate::source::Span;

/// A mistake in the text of a value.
pub(crate) struct SettingError {
    pub(crate) code: &'static str,
    /// Within the text.
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl SettingError {
    /// An error that is about the whole text.
    pub(super) fn new(code: &'static str, text: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, span: Span::new(0, text.len()), message: message.into(), hint: Some(hint.into()) }
    }
}
