//! The tokens of a script.

use crate::source::Span;

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// The start of a line that holds something; the span is its indentation.
    LineStart,
    /// A letter or `_`, then letters, digits, `_`, `-`.
    Word,
    /// ASCII digits.
    Number,
    /// Text between two equal quotes on one line, quotes included.
    Quoted,
    /// Fence, code, fence.
    Code,
    /// A fence and everything after it: the closing fence is missing.
    UnclosedCode,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    Comma,
    Colon,
    Equals,
    Bar,
    Bang,
    Dollar,
    At,
    Minus,
    Plus,
    Star,
    Dot,
    Less,
    Greater,
    Tilde,
    /// Another printable ASCII character.
    Sign,
    /// A character outside ASCII that begins no word, or a control character.
    Other,
    /// The end of the file, once, at the end.
    End,
}

impl TokenKind {
    /// The kind of a printable ASCII character that begins no longer token.
    pub(crate) const fn from_sign(sign: char) -> Self {
        match sign {
            '(' => Self::OpenParen,
            ')' => Self::CloseParen,
            '[' => Self::OpenBracket,
            ']' => Self::CloseBracket,
            '{' => Self::OpenBrace,
            '}' => Self::CloseBrace,
            ',' => Self::Comma,
            ':' => Self::Colon,
            '=' => Self::Equals,
            '|' => Self::Bar,
            '!' => Self::Bang,
            '$' => Self::Dollar,
            '@' => Self::At,
            '-' => Self::Minus,
            '+' => Self::Plus,
            '*' => Self::Star,
            '.' => Self::Dot,
            '<' => Self::Less,
            '>' => Self::Greater,
            '~' => Self::Tilde,
            _ => Self::Sign,
        }
    }

    /// Returns whether it is a single printable ASCII character: punctuation or a bracket.
    pub(crate) const fn is_sign(self) -> bool {
        !matches!(
            self,
            Self::LineStart
                | Self::Word
                | Self::Number
                | Self::Quoted
                | Self::Code
                | Self::UnclosedCode
                | Self::Other
                | Self::End
        )
    }

    /// Returns whether a setting begins with it.
    pub(crate) const fn begins_setting(self) -> bool {
        matches!(self, Self::Bang | Self::Dollar | Self::At)
    }

    /// Returns whether a name may contain it.
    pub(crate) const fn is_name_part(self) -> bool {
        matches!(self, Self::Word | Self::Number | Self::Quoted | Self::Minus)
    }

    /// Returns whether a line ends before it.
    pub(crate) const fn ends_line(self) -> bool {
        matches!(self, Self::LineStart | Self::End)
    }
}

/// All tokens of a script.
pub(crate) struct Tokens {
    /// The last one is [`TokenKind::End`].
    pub(crate) list: Vec<Token>,
    /// From `#` to the end of the line, in order.
    pub(crate) comments: Vec<Span>,
    /// The JSON object at the top, if there is one.
    pub(crate) header: Option<Span>,
}
