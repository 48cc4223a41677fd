//! Who may do what: roles and their permissions, the tokens file, the authentication of a request, the seals of leases, and those of
//! sessions of browsers. Knows no routes, replies or stores.

pub(crate) mod access;
pub(crate) mod browser;
pub(crate) mod lease_seal;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod token_file;
