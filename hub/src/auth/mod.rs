//! Who may do what: roles and their permissions, the tokens file, and the authentication of a request. Knows no routes, replies
//! or stores.

pub(crate) mod access;
pub(crate) mod role;
pub(crate) mod token_file;
