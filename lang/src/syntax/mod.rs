//! Tokens, and the tree that the parser builds from them. Depends on `source`, `text`, `settings` and `diagnostics`.

pub(crate) mod lexer;
pub(crate) mod token;
pub(crate) mod tree;
