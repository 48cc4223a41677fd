//! Is a source nested too deep to be parsed? The parser calls itself for every level and has no bound of its own, so that a
//! file of parentheses would end the process.

use rustpython_ruff_python_ast::token::TokenKind;
use rustpython_ruff_python_parser::{Mode, lexer};

/// Levels that fit the caller's stack many times over. CPython stops at 200 brackets and 100 indentations; an operator of a
/// long sum counts one.
const LIMIT: usize = 2_400;

const BRACKET: usize = 12;
const PREFIX: usize = 6;
const OPERATOR: usize = 1;

/// Adds up, token by token, how deep the tree can be at most.
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

/// What is open: a number for every bracket and indented block, and their sum.
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
            kind => self.deepen(weight(kind)),
        }
    }

    fn open(&mut self) {
        self.deepen(BRACKET);
        self.levels.push(0);
    }

    /// What was in the brackets is done, but `a()()()` goes on growing.
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

    fn deepen(&mut self, by: usize) {
        self.sum += by;
        if let Some(level) = self.levels.last_mut() {
            *level += by;
        }
    }
}

fn weight(kind: TokenKind) -> usize {
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
