//! What makes a module unusable as a guest although it was linked.

/// An export of a guest that is not what the contract says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GuestError {
    #[error("an export of the guest is missing")]
    MissingExport,
    #[error("the guest's export `memory` is not a memory")]
    NotAMemory,
    #[error("an export of the guest is not a function")]
    NotAFunction,
    #[error("an export of the guest is not a global")]
    NotAGlobal,
    #[error("a global of the guest is neither an integer nor a float")]
    GlobalType,
}
