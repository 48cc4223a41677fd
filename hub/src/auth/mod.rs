//! Who may do what: roles, the file of tokens, and the check of a request's token. It knows no route and no store.

pub(crate) mod access;
pub(crate) mod role;
pub(crate) mod token_file;
