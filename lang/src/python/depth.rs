//! Whether a source is nested too deeply to be parsed. The parser is recursive and does not limit the depth, so a file of
//! parentheses would overflow the stack.

use rustpython_ruff_python_ast::token::TokenKind;
use rustpython_ruff_python_parser::{Mode, lexer};

/// A weighted depth whose parsing needs a small part of the stack. CPython stops at 200 brackets and 100 indentations; an
/// operator of a long sum weighs one.
const LIMIT: usize = 2_400;

const BRACKET: usize = 12;
const PREFIX: usize = 6;
const OPERATOR: usize = 1;

/// Sums up, token by token, an upper bound of the depth of the tree.
pub(super) fn is_too_deep(source: &str) -> bool {
    let mut tokens = lexer::lex(source, Mode::Module);
    let mut depth = Depth { levels: vec![0], sum: 0 };
    loop {
        match tokens.next_token() {
            TokenKind::EndOfFile => return false,
            kind => depth.add(kind),
        }
        if depth.sum > LIMIT {
            return true;
        }
    }
}

/// The depth cost of every open bracket and indented block, and their sum.
struct Depth {
    levels: Vec<usize>,
    sum: usize,
}

impl Depth {
    fn add(&mut self, kind: TokenKind) {
        match kind {
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace | TokenKind::Indent | TokenKind::FStringStart => {
                self.open();
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace | TokenKind::Dedent | TokenKind::FStringEnd => {
                self.close();
            }
            TokenKind::Comma | TokenKind::Newline | TokenKind::Semi => self.reset(),
            kind => self.add_depth(depth_cost(kind)),
        }
    }

    fn open(&mut self) {
        self.add_depth(BRACKET);
        self.levels.push(0);
    }

    /// The contents of the brackets are done, but `a()()()` keeps growing.
    fn close(&mut self) {
        if self.levels.len() > 1 {
            self.sum -= self.levels.pop().unwrap_or_default();
        }
        let closed = BRACKET - OPERATOR;
        self.sum -= closed.min(self.sum);
        if let Some(level) = self.levels.last_mut() {
            *level -= closed.min(*level);
        }
    }

    fn reset(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            self.sum -= core::mem::take(level);
        }
    }

    fn add_depth(&mut self, by: usize) {
        self.sum += by;
        if let Some(level) = self.levels.last_mut() {
            *level += by;
        }
    }
}

fn depth_cost(kind: TokenKind) -> usize {
    match kind {
        TokenKind::Name
        | TokenKind::Int
        | TokenKind::Float
        | TokenKind::String
        | TokenKind::NonLogicalNewline
        | TokenKind::Comment => 0,
        TokenKind::Not
        | TokenKind::Minus
        | TokenKind::Plus
        | TokenKind::Tilde
        | TokenKind::Lambda
        | TokenKind::DoubleStar
        | TokenKind::Else
        | TokenKind::If
        | TokenKind::Await
        | TokenKind::Star
        | TokenKind::ColonEqual
        | TokenKind::Yield
        | TokenKind::For => PREFIX,
        _ => OPERATOR,
    }
}
