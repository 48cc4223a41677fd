//! Blanks between two tokens of a line.

use crate::lexer::Kind;
use crate::source::Span;

/// A token, or a text that is kept as it is: paths, functions, values of settings.
pub(super) struct Piece {
    pub(super) kind: Kind,
    pub(super) span: Span,
    pub(super) raw: bool,
}

impl Piece {
    fn mark(&self) -> Option<u8> {
        match self.kind {
            Kind::Mark(mark) if !self.raw => Some(mark),
            _ => None,
        }
    }
}

/// What stands between two pieces: nothing or a blank. Where no rule says, a blank stays a blank.
pub(super) fn between(before: &Piece, piece: &Piece) -> &'static str {
    let apart = if before.span.end == piece.span.start { "" } else { " " };
    match (before.mark(), piece.mark()) {
        (_, Some(b',' | b')' | b']' | b':')) | (Some(b'(' | b'['), _) => "",
        (Some(b'=' | b'|' | b',' | b'$' | b'@'), _) | (_, Some(b'=' | b'|' | b'!' | b'$' | b'@')) => " ",
        // a call's, or an import's, whose language is kept as it is
        (_, Some(b'(')) => {
            if before.raw {
                " "
            } else {
                ""
            }
        }
        (Some(b')'), _) => " ",
        (Some(b'!'), _) => "",
        _ => apart,
    }
}
