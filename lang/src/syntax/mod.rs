//! Tokens, and the tree that the parser makes of them. Depends on `source`, `text`, `settings` and `diagnostics`.

pub(crate) mod lexer;
pub(crate) mod token;
pub(crate) mod tree;
