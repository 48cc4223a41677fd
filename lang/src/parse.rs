//! Tokens to a tree. Parsing never fails: what cannot be read gets a diagnostic and is left out, and the next line is read
//! as if nothing had happened. Looks ahead a fixed number of tokens, or to the end of the line; never goes back.

mod call;
mod code;
mod foreign;
mod import;
mod looping;
mod name;
mod pipe;
mod recovery;
mod setting;
mod statement;
mod step;

use std::collections::HashSet;

use crate::diagnostic::{DiagnosticBuilder, Diagnostics};
use crate::lexer::{Kind, Token};
use crate::source::Span;
use crate::tree::Block;

/// What was read of a script.
pub(crate) struct Tree<'a> {
    /// The statements that could be read, at least in part.
    pub(crate) block: Block<'a>,
    /// Words of the statements that could not. They may be what defines a name that seems to be unknown.
    pub(crate) lost: HashSet<&'a str>,
    /// For the formatter.
    pub(crate) layout: Layout,
}

/// How the lines of a script nest, and which of its texts are no tokens.
pub(crate) struct Layout {
    /// For each line with something on it, in order: its first byte, and how many units it should be indented.
    pub(crate) depths: Vec<(u32, u32)>,
    /// Paths, functions, languages and values of settings, in order.
    pub(crate) raw: Vec<Span>,
    /// The indentation unit, as the last `TAB` said.
    pub(crate) unit: String,
}

/// The tree of the tokens of a script.
pub(crate) fn parse<'a>(tokens: &[Token], diagnostics: &mut Diagnostics<'a>) -> Tree<'a> {
    let text = diagnostics.script.text;
    let layout = Layout { depths: Vec::new(), raw: Vec::new(), unit: DEFAULT_UNIT.to_owned() };
    let lost = HashSet::new();
    let mut parser = Parser { text, tokens, at: 0, diagnostics, layout, odd_width: None, loops: 0, column: 0, lost };
    let block = parser.block(0, None);
    Tree { block, lost: parser.lost, layout: parser.layout }
}

/// The indentation unit of files that do not say `TAB = …`.
const DEFAULT_UNIT: &str = "    ";

/// A diagnostic has been made about what could not be read.
struct Reported;

type Parsed<T> = Result<T, Reported>;

struct Parser<'a, 't, 'c> {
    text: &'a str,
    /// The last one is [`Kind::End`] and is never stepped over.
    tokens: &'t [Token],
    at: usize,
    diagnostics: &'c mut Diagnostics<'a>,
    layout: Layout,
    /// Indentation that was reported last.
    odd_width: Option<usize>,
    /// Loops around the current line.
    loops: u32,
    /// Indentation of the statement that is read.
    column: usize,
    /// Words of what could not be read.
    lost: HashSet<&'a str>,
}

impl<'a> Parser<'a, '_, '_> {
    /// The token `ahead` places further on.
    fn peek_at(&self, ahead: usize) -> Token {
        let end = Token { kind: Kind::End, span: Span::new(self.text.len(), self.text.len()) };
        self.tokens.get(self.at + ahead).or(self.tokens.last()).copied().unwrap_or(end)
    }

    fn peek(&self) -> Token {
        self.peek_at(0)
    }

    fn kind(&self) -> Kind {
        self.peek().kind
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    /// The token before the current one, or the current one if it is the first.
    fn last(&self) -> Token {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).copied().unwrap_or(self.peek())
    }

    fn text_of(&self, token: Token) -> &'a str {
        token.span.of(self.text)
    }

    fn is_mark(&self, mark: u8) -> bool {
        self.kind() == Kind::Mark(mark)
    }

    fn is_word(&self, word: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Word && self.text_of(token) == word
    }

    /// Takes a mark if it stands here.
    fn eat(&mut self, mark: u8) -> Option<Token> {
        self.is_mark(mark).then(|| self.next())
    }

    fn at_line_end(&self) -> bool {
        matches!(self.kind(), Kind::Line | Kind::End)
    }

    /// Inside brackets the ends of lines mean nothing.
    fn gap(&mut self) {
        while self.kind() == Kind::Line {
            let closing = matches!(self.peek_at(1).kind, Kind::Mark(b')' | b']'));
            self.line_at(self.loops + u32::from(!closing));
        }
    }

    /// Steps over a `Line` token of a line that should be indented by so many units; its indentation comes back.
    fn line_at(&mut self, depth: u32) -> Span {
        let indent = self.next().span;
        self.layout.depths.push((indent.end, depth));
        indent
    }

    /// Columns of one unit of indentation.
    fn unit_width(&self) -> usize {
        let tab = self.tab_width();
        self.layout.unit.bytes().map(|byte| if byte == b'\t' { tab } else { 1 }).sum()
    }

    /// Columns of a tab: as many as the unit has, unless the unit is made of tabs.
    fn tab_width(&self) -> usize {
        if self.layout.unit.contains('\t') { DEFAULT_UNIT.len() } else { self.layout.unit.len() }
    }

    /// What stands here, for messages.
    fn found(&self) -> String {
        let token = self.peek();
        match token.kind {
            Kind::Line => "the end of the line".into(),
            Kind::End => "the end of the file".into(),
            Kind::Code | Kind::OpenCode => "code".into(),
            Kind::Other if !is_visible(self.text_of(token)) => {
                let number = self.text_of(token).chars().next().map_or(0, u32::from);
                format!("the invisible character U+{number:04X}")
            }
            _ => quoted(self.text_of(token)),
        }
    }

    /// Where something is missing: behind the last token if the line ends here, else at the token that is wrong.
    fn place(&self) -> Span {
        if self.at_line_end() { self.last().span.after() } else { self.peek().span }
    }

    fn report(&mut self, diagnostic: DiagnosticBuilder) {
        self.diagnostics.add(diagnostic);
    }

    fn fail<T>(&mut self, diagnostic: DiagnosticBuilder) -> Parsed<T> {
        self.diagnostics.add(diagnostic);
        Err(Reported)
    }

    /// "expected X, found Y", here.
    fn unexpected(&self, code: &'static str, expected: &str) -> DiagnosticBuilder {
        DiagnosticBuilder::new(code, self.place(), format!("expected {expected}, found {}", self.found()))
    }

    /// Columns of an indentation.
    fn width(&self, indent: Span) -> usize {
        let tab = self.tab_width();
        indent.of(self.text).bytes().map(|byte| if byte == b'\t' { tab } else { 1 }).sum()
    }
}

fn is_visible(text: &str) -> bool {
    !text.contains(|char: char| {
        char.is_whitespace() || char.is_control() || matches!(char, '\u{200b}'..='\u{200f}' | '\u{feff}')
    })
}

/// A text in backquotes, shortened for messages.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}
