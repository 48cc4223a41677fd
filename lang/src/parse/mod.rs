//! Tokens to a tree. Parsing never fails: a part that cannot be parsed is reported and left out, and parsing continues at the
//! next line. It looks ahead a fixed number of tokens, or to the end of the line, and never backtracks.
//!
//! `parser.rs` is the cursor over the tokens; each other file adds one kind of statement or of line to it.

mod call;
mod code;
mod finally;
mod hints;
mod import;
mod indentation;
mod keywords;
pub(crate) mod literal;
mod loops;
mod name;
mod other_languages;
mod param;
mod parser;
mod pipe;
mod recovery;
mod setting;
mod statement;
mod step;
mod table;

use self::parser::Parser;
use crate::diagnostics::list::Diagnostics;
use crate::syntax::token::Token;
use crate::syntax::tree::Tree;

/// The tree of a script's tokens.
pub(crate) fn parse<'a>(tokens: &[Token], diagnostics: &mut Diagnostics<'a>) -> Tree<'a> {
    let mut parser = Parser::new(tokens, diagnostics);
    let block = parser.block(0, None);
    parser.into_tree(block)
}
