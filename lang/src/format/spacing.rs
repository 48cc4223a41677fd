//! Space between two tokens of a line.

use crate::source::Span;
use crate::syntax::token::TokenKind;

/// A token, or a text that is kept as it is: a path, a function, the value of a setting.
pub(super) struct Piece {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
    /// Whether it is a text that is kept.
    pub(super) raw: bool,
}

impl Piece {
    /// The sign that decides the space around it, if it is one.
    fn sign(&self) -> Option<TokenKind> {
        (!self.raw && self.kind.is_sign()).then_some(self.kind)
    }
}

/// The space between two pieces: none or one blank. Without a rule, a blank is kept if there was one.
pub(super) fn between(before: &Piece, piece: &Piece) -> &'static str {
    use TokenKind::{
        At, Bang, Bar, CloseBracket, CloseParen, Colon, Comma, Dollar, Equals, OpenBracket, OpenParen, Plus,
    };
    match (before.sign(), piece.sign()) {
        (_, Some(Comma | CloseParen | CloseBracket | Colon)) | (Some(OpenParen | OpenBracket), _) => "",
        (Some(Equals | Bar | Comma | Dollar | At), _) | (_, Some(Equals | Bar | Bang | Dollar | At)) => " ",
        // lists that a loop runs over, one after the other
        (Some(Plus), _) | (_, Some(Plus)) => " ",
        // an import, whose language is kept as it is
        (_, Some(OpenParen)) if before.raw => " ",
        // a call
        (_, Some(OpenParen)) => "",
        (Some(CloseParen), _) => " ",
        (Some(Bang), _) => "",
        _ if before.span.end == piece.span.start => "",
        _ => " ",
    }
}
