//! A compiled script against what its steps name: files, compilers, packages, scopes.
//!
//! Pure: the caller reads the files and runs the compilers, and passes functions that do so.

mod checker;
mod code;
mod compiled;
mod file_contents;
mod inputs;
mod keywords;
mod packages;
mod params;
mod scopes;
mod sources;
mod sql;

pub use code::{CodeProblem, CodeProblemKind, check_code};
pub use compiled::{BuildProblem, Buildable, check_compiled};
pub use file_contents::FileContents;
pub use packages::{PackageProblem, PackageProblemKind, check_packages};
pub use params::bind_params;
pub use scopes::check_scopes;
pub use sources::check_sources;
pub use sql::check_sql;
