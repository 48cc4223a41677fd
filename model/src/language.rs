//! The languages of steps, and everything that differs between them.
//!
//! Every decision is an exhaustive `match`: a language that is added here does not compile until each has been made.

use serde::{Deserialize, Serialize};

/// A language of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// RustPython in a sandbox.
    Python,
    /// SQL in an in-memory SQLite database, a new one for every job.
    Sqlite3,
    /// SQL on a PostgreSQL connection that the worker opens.
    Postgres,
    /// Built to a component on the uploading machine.
    Rust,
    /// Built to a plain WASI command on the uploading machine.
    Go,
    /// Built to a plain WASI command on the uploading machine.
    C,
    /// Built to a plain WASI command on the uploading machine.
    Cpp,
    /// A component or a plain WASI command, uploaded as it is.
    Wasm,
    /// No language of scripts: an operation on lists that the worker executes itself, a
    /// [`ListOperation`](crate::ListOperation). It has no code.
    Builtin,
}

/// What executes the steps of a [`Language`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// The Python guest, in a sandbox host.
    Python,
    /// SQLite, in a sandbox host.
    Sqlite,
    /// A PostgreSQL server. The worker's own process sends it the statements: sandbox hosts hold no credentials.
    Postgres,
    /// The step's WebAssembly module, in a sandbox host.
    WebAssembly,
    /// The worker itself, which copies the bytes of lists and decodes none of them.
    Lists,
}

impl Language {
    /// All languages of scripts, in the order in which messages list them.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Python, Self::Sqlite3, Self::Postgres, Self::Rust, Self::Go, Self::C, Self::Cpp, Self::Wasm];

    /// The number of variants without [`Builtin`](Self::Builtin). A language that is missing here does not compile, and then
    /// [`ALL`](Self::ALL) does not.
    const COUNT: usize = match Self::Python {
        Self::Python
        | Self::Sqlite3
        | Self::Postgres
        | Self::Rust
        | Self::Go
        | Self::C
        | Self::Cpp
        | Self::Wasm
        | Self::Builtin => 8,
    };

    /// The name used in plans and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Sqlite3 => "sqlite3",
            Self::Postgres => "postgres",
            Self::Rust => "rust",
            Self::Go => "go",
            Self::C => "c",
            Self::Cpp => "cpp",
            Self::Wasm => "wasm",
            Self::Builtin => "builtin",
        }
    }

    /// Further names that scripts may use.
    #[must_use]
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["python3", "py"],
            Self::Sqlite3 => &["sqlite"],
            Self::Postgres => &["postgresql", "pg"],
            Self::Cpp => &["c++"],
            Self::Rust | Self::Go | Self::C | Self::Wasm | Self::Builtin => &[],
        }
    }

    /// The endings of its source files, each with its dot.
    #[must_use]
    pub const fn file_endings(self) -> &'static [&'static str] {
        match self {
            Self::Python => &[".py"],
            Self::Sqlite3 | Self::Postgres => &[".sql"],
            Self::Rust => &[".rs"],
            Self::Go => &[".go"],
            Self::C => &[".c"],
            Self::Cpp => &[".cpp", ".cc"],
            Self::Wasm => &[".wasm"],
            Self::Builtin => &[],
        }
    }

    /// What executes its steps.
    #[must_use]
    pub const fn engine(self) -> Engine {
        match self {
            Self::Python => Engine::Python,
            Self::Sqlite3 => Engine::Sqlite,
            Self::Postgres => Engine::Postgres,
            Self::Rust | Self::Go | Self::C | Self::Cpp | Self::Wasm => Engine::WebAssembly,
            Self::Builtin => Engine::Lists,
        }
    }

    /// Whether its steps are uploaded as WebAssembly. The source of all others is one UTF-8 text, which may stand in the script.
    #[must_use]
    pub const fn is_compiled(self) -> bool {
        match self.engine() {
            Engine::Python | Engine::Sqlite | Engine::Postgres | Engine::Lists => false,
            Engine::WebAssembly => true,
        }
    }

    /// Whether its steps may import modules beside them and packages (`!requires`, `requirements.txt`), which then travel with
    /// them. Compiled steps contain what they use.
    #[must_use]
    pub const fn has_imports(self) -> bool {
        match self.engine() {
            Engine::Python => true,
            Engine::Sqlite | Engine::Postgres | Engine::WebAssembly | Engine::Lists => false,
        }
    }

    /// Whether its functions have keyword arguments, which `!with` sets.
    #[must_use]
    pub const fn has_keyword_arguments(self) -> bool {
        match self.engine() {
            Engine::Python => true,
            Engine::Sqlite | Engine::Postgres | Engine::WebAssembly | Engine::Lists => false,
        }
    }

    /// Whether its steps name a table, which may have columns, instead of a function.
    #[must_use]
    pub const fn has_table(self) -> bool {
        match self.engine() {
            Engine::Sqlite | Engine::Postgres => true,
            Engine::Python | Engine::WebAssembly | Engine::Lists => false,
        }
    }

    /// Whether the name of a function is an identifier. Tables and exports may also have spaces and hyphens in their names.
    #[must_use]
    pub const fn has_identifier_functions(self) -> bool {
        match self.engine() {
            Engine::Python => true,
            Engine::Sqlite | Engine::Postgres | Engine::WebAssembly | Engine::Lists => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_listed_once_and_no_name_means_two() {
        let names = || {
            Language::ALL
                .iter()
                .flat_map(|language| [language.name()].into_iter().chain(language.aliases().iter().copied()))
        };
        let mut sorted: Vec<&str> = names().collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), names().count());
    }

    #[test]
    fn a_plan_spells_a_language_by_its_name() {
        for language in Language::ALL.into_iter().chain([Language::Builtin]) {
            let json = serde_json::to_string(&language).expect("a string");
            assert_eq!(json, format!("\"{}\"", language.name()));
        }
    }
}
