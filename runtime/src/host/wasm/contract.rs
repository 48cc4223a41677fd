//! What a compiled step must be. Checked when it is uploaded and again by the worker, before it is compiled.

use bue_model::text::excerpt;
use wasmparser::{Encoding, ExternalKind, FunctionBody, Parser, Payload, Validator, WasmFeatures};

use crate::step::compiled_step::WasmKind;

/// The package and version of the contract, which the names of a component contain: `guest-sdk/wit/step.wit`.
const PACKAGE: &str = "bue:step/";
const VERSION: &str = "0.1.0";
const GUEST: &str = "guest";

/// Maximum size of a step's module in bytes. Release builds have a few megabytes.
pub(crate) const MAX_BYTES: usize = 32 << 20;
/// Maximum number of functions of a step, in all its modules together.
const MAX_FUNCTIONS: u32 = 100_000;
/// Maximum size of one function in bytes. The time and memory to compile a function grow faster than its size.
const MAX_FUNCTION_BYTES: usize = 1 << 20;
/// Maximum number of modules and components in a step.
const MAX_MODULES: usize = 64;

/// The module name of plain commands' imports.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// All functions of it.
const PREVIEW1_FUNCTIONS: [&str; 46] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];
/// The packages and interfaces of WASI 0.2 that components may import; see `guest-sdk/wit/step.wit`.
const WASI: [&str; 8] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Why a file cannot be a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WasmProblem {
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    pub hint: String,
}

fn problem<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, WasmProblem> {
    Err(WasmProblem { message: message.into(), hint: hint.into() })
}

/// Checks a step's bytes: a complete and valid module of a known contract, within the limits of what is compiled.
///
/// # Errors
/// Why it cannot be a step, worded for its author.
pub fn check_wasm(bytes: &[u8]) -> Result<WasmKind, WasmProblem> {
    check_header(bytes)?;
    let mut summary = ModuleSummary::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.or_else(|error| unreadable(&error))?;
        summary.add(&payload)?;
    }
    Validator::new_with_features(features()).validate_all(bytes).or_else(|error| unreadable(&error))?;
    summary.kind()
}

fn check_header(bytes: &[u8]) -> Result<(), WasmProblem> {
    const BUILD: &str = "pass the `.wasm` file that a compiler wrote, or the path of its source";
    if bytes.len() > MAX_BYTES {
        let (len, limit) = (bytes.len() >> 20, MAX_BYTES >> 20);
        return problem(
            format!("it has {len} MiB, more than the {limit} MiB a step may have"),
            "build it optimised and without debug information, `cargo build --release`",
        );
    }
    match bytes {
        [0, b'a', b's', b'm', ..] => Ok(()),
        [0x7f, b'E', b'L', b'F', ..] => {
            problem("it is machine code (a `.cwasm`, or a native program), which is never loaded from outside", BUILD)
        }
        [] => problem("it is empty", BUILD),
        _ => problem("it is not WebAssembly", BUILD),
    }
}

fn unreadable<T>(error: &wasmparser::BinaryReaderError) -> Result<T, WasmProblem> {
    let (message, at) = (excerpt(error.message()), error.offset());
    problem(
        format!("it is not complete and valid WebAssembly: {message} (at byte {at})"),
        "build it again; unstable features (threads, exceptions, 64-bit memories) are not supported",
    )
}

/// The WebAssembly features that the engine of steps supports.
fn features() -> WasmFeatures {
    WasmFeatures::MVP
        | WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::GC_TYPES
}

/// What is known of a module after reading a part of it.
#[derive(Default)]
struct ModuleSummary {
    encoding: Option<Encoding>,
    /// How many modules and components enclose the payload.
    depth: usize,
    modules: usize,
    functions: u32,
    exports_start: bool,
    exports_memory: bool,
    /// It exports the contract's interface in our version.
    exports_guest: bool,
    /// Another version of the contract that it imports or exports.
    other_version: Option<String>,
}

impl ModuleSummary {
    fn add(&mut self, payload: &Payload<'_>) -> Result<(), WasmProblem> {
        match payload {
            Payload::Version { encoding, .. } => self.enter_module(*encoding)?,
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::CodeSectionStart { count, .. } => self.count_functions(*count)?,
            Payload::CodeSectionEntry(body) => check_function(body)?,
            Payload::ImportSection(imports) if self.depth == 1 => {
                for import in imports.clone().into_imports() {
                    let import = import.or_else(|error| unreadable(&error))?;
                    check_module_import(import.module, import.name)?;
                }
            }
            Payload::ExportSection(exports) if self.depth == 1 => {
                for export in exports.clone() {
                    let export = export.or_else(|error| unreadable(&error))?;
                    self.exports_start |= export.name == "_start" && export.kind == ExternalKind::Func;
                    self.exports_memory |= export.name == "memory" && export.kind == ExternalKind::Memory;
                }
            }
            Payload::ComponentImportSection(imports) if self.depth == 1 => {
                for import in imports.clone() {
                    let import = import.or_else(|error| unreadable(&error))?;
                    self.component_import(import.name.name)?;
                }
            }
            Payload::ComponentExportSection(exports) if self.depth == 1 => {
                for export in exports.clone() {
                    let export = export.or_else(|error| unreadable(&error))?;
                    self.component_export(export.name.name);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn enter_module(&mut self, encoding: Encoding) -> Result<(), WasmProblem> {
        self.depth += 1;
        self.modules += 1;
        self.encoding.get_or_insert(encoding);
        if self.modules > MAX_MODULES {
            return problem(
                format!("it has more than the {MAX_MODULES} modules a step may have"),
                "compose fewer components into it",
            );
        }
        Ok(())
    }

    fn count_functions(&mut self, count: u32) -> Result<(), WasmProblem> {
        self.functions = self.functions.saturating_add(count);
        if self.functions > MAX_FUNCTIONS {
            return problem(
                format!("it has more than the {MAX_FUNCTIONS} functions a step may have"),
                "build it optimised, and depend on less",
            );
        }
        Ok(())
    }

    fn component_import(&mut self, name: &str) -> Result<(), WasmProblem> {
        if let Some((interface, version)) = contract_name(name) {
            if version != VERSION {
                self.other_version = Some(version.to_owned());
            } else if !["types", "host", "blob"].contains(&interface) {
                return unknown_import(name);
            }
            return Ok(());
        }
        let is_wasi = WASI.iter().any(|prefix| name.starts_with(prefix)) && name.contains("@0.2.");
        if is_wasi { Ok(()) } else { unknown_import(name) }
    }

    fn component_export(&mut self, name: &str) {
        match contract_name(name) {
            Some((GUEST, VERSION)) => self.exports_guest = true,
            Some((_, version)) if version != VERSION => self.other_version = Some(version.to_owned()),
            _ => {}
        }
    }

    fn kind(self) -> Result<WasmKind, WasmProblem> {
        if let Some(version) = self.other_version {
            return problem(
                format!("it was built for bue:step@{version}; this bue supports bue:step@{VERSION}"),
                "build it again with the SDK of this bue, which `bue new step --lang rust NAME` writes",
            );
        }
        match self.encoding {
            Some(Encoding::Component) if self.exports_guest => Ok(WasmKind::Component),
            Some(Encoding::Component) => problem(
                format!("it is a component that does not export bue:step/{GUEST}@{VERSION}"),
                "export it (guest-sdk/wit/step.wit), or build a plain command with `_start` for wasm32-wasip1",
            ),
            _ if self.exports_start && self.exports_memory => Ok(WasmKind::Command),
            _ => problem(
                "it is a module without `_start` and `memory`",
                "build a command for wasm32-wasip1, a program with `main`, or a component that exports bue:step/guest",
            ),
        }
    }
}

/// The interface and version in a name of our package.
fn contract_name(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

fn check_function(body: &FunctionBody<'_>) -> Result<(), WasmProblem> {
    let len = body.range().len();
    if len > MAX_FUNCTION_BYTES {
        let (len, limit) = (len >> 10, MAX_FUNCTION_BYTES >> 10);
        return problem(
            format!("one of its functions has {len} KiB, more than the {limit} KiB one may have"),
            "put tables into data, and split generated code",
        );
    }
    Ok(())
}

fn check_module_import(module: &str, name: &str) -> Result<(), WasmProblem> {
    if module == PREVIEW1 && PREVIEW1_FUNCTIONS.contains(&name) {
        return Ok(());
    }
    unknown_import(&format!("{module}.{name}"))
}

fn unknown_import<T>(name: &str) -> Result<T, WasmProblem> {
    problem(
        format!("it imports `{}`, which steps are not given", excerpt(name)),
        "steps may import WASI (preview 1 for commands, 0.2 for components) and bue:step, see docs/compiled-steps.md",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract, and its hash for each version.
    const WIT: &str = include_str!("../../../../guest-sdk/wit/step.wit");
    const HASHES: &str = include_str!("../../../../guest-sdk/wit/step.wit.hash");

    #[test]
    fn the_contract_does_not_change_without_a_version() {
        assert!(WIT.contains(&format!("package bue:step@{VERSION};")), "step.wit and this bue name different versions");
        let hash = blake3::hash(WIT.as_bytes()).to_hex();
        let line = format!("{VERSION} {hash}");
        assert!(
            HASHES.lines().any(|known| known == line),
            "step.wit changed: give it a new version, add `{line}` to step.wit.hash, and keep the older lines"
        );
    }

    #[test]
    fn the_contract_names_what_may_be_imported() {
        for interface in WASI {
            let package = interface.trim_end_matches('/').split('/').next().expect("a package");
            assert!(WIT.contains(package), "{package}");
        }
    }
}
