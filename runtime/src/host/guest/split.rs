//! Separates the data of the guest's module from its code, so that one compiled module serves every memory image.
//!
//! Instantiating the remaining module does not touch memory. Its mutable globals are exported, because their values are part
//! of an image.
//!
//! A guest can implement functions of WASI itself: if it exports `bue_wasi_path_open`, its calls of WASI's `path_open` go there. What
//! it imports from `bue_host_wasi` is WASI's function of that name.

use core::convert::Infallible;
use std::collections::HashMap;

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, utils};
use wasm_encoder::{DataSection, ExportKind, ExportSection, ImportSection, Module};
use wasmparser::{
    DataKind, DataSectionReader, ExportSectionReader, ExternalKind, GlobalSectionReader, Import, ImportSectionReader,
    Operator, Parser, Payload,
};

use crate::error::RuntimeError;

/// The prefix of the names of exported globals; their index follows.
pub(crate) const GLOBAL_PREFIX: &str = "__bue_global_";

const WASI: &str = "wasi_snapshot_preview1";
/// The module from which a guest imports functions of WASI that it implements for the rest of itself.
const HOST_WASI: &str = "bue_host_wasi";
/// The prefix of the names of the guest's own functions of WASI.
const OWN_WASI_PREFIX: &str = "bue_wasi_";

/// A guest module without its data, and the data.
pub(crate) struct SplitGuest {
    /// The module without data.
    pub(crate) code: Vec<u8>,
    /// Offset and bytes of each data segment.
    pub(crate) data: Vec<(u32, Vec<u8>)>,
}

/// Separates a module's data from its code.
///
/// # Errors
/// Bytes that are not a module, and modules with state that an image does not include: several memories, an imported memory,
/// passive data segments, imported globals, a start function.
pub(crate) fn split(wasm: &[u8]) -> Result<SplitGuest, RuntimeError> {
    let state = find_state(wasm).map_err(|error| RuntimeError::Guest(format!("read its module: {error}")))??;
    let redirects = state.redirects();
    let mut stripper = DataStripper { globals: state.globals, redirects };
    let mut module = Module::new();
    stripper
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .map_err(|error| RuntimeError::Guest(format!("rewrite its module: {error}")))?;
    Ok(SplitGuest { code: module.finish(), data: state.data })
}

/// The state of a module.
#[derive(Default)]
struct ModuleState {
    data: Vec<(u32, Vec<u8>)>,
    globals: Vec<u32>,
    memories: u32,
    /// The functions of WASI that it imports, by their indices.
    wasi: HashMap<u32, String>,
    /// The functions that it exports.
    functions: HashMap<String, u32>,
}

impl ModuleState {
    /// Returns which of its own functions it calls instead of imported ones.
    fn redirects(&self) -> HashMap<u32, u32> {
        let own =
            |(index, name): (&u32, &String)| Some((*index, *self.functions.get(&format!("{OWN_WASI_PREFIX}{name}"))?));
        self.wasi.iter().filter_map(own).collect()
    }
}

/// An outer error is malformed WebAssembly, an inner one a module that is refused.
type Parsed<T> = Result<Result<T, RuntimeError>, wasmparser::BinaryReaderError>;

fn find_state(wasm: &[u8]) -> Parsed<ModuleState> {
    let mut state = ModuleState::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::MemorySection(section) => state.memories = section.count(),
            Payload::GlobalSection(section) => state.globals = mutable_globals(section)?,
            Payload::DataSection(section) => match data_segments(section)? {
                Ok(data) => state.data = data,
                Err(refused) => return Ok(Err(refused)),
            },
            Payload::StartSection { .. } => return Ok(refuse("it has a start function")),
            Payload::ImportSection(section) => {
                for (index, import) in (0_u32..).zip(section.into_imports()) {
                    let import = import?;
                    if !matches!(import.ty, wasmparser::TypeRef::Func(_)) {
                        return Ok(refuse("it imports something that is not a function"));
                    }
                    if import.module == WASI {
                        state.wasi.insert(index, import.name.to_owned());
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        state.functions.insert(export.name.to_owned(), export.index);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(if state.memories == 1 { Ok(state) } else { refuse("it does not have exactly one memory") })
}

fn refuse<T>(reason: &str) -> Result<T, RuntimeError> {
    Err(RuntimeError::Guest(format!("image its state: {reason}")))
}

fn mutable_globals(section: GlobalSectionReader<'_>) -> Result<Vec<u32>, wasmparser::BinaryReaderError> {
    let mut mutable = Vec::new();
    for (index, global) in (0_u32..).zip(section) {
        if global?.ty.mutable {
            mutable.push(index);
        }
    }
    Ok(mutable)
}

fn data_segments(section: DataSectionReader<'_>) -> Parsed<Vec<(u32, Vec<u8>)>> {
    let mut segments = Vec::new();
    for segment in section {
        let segment = segment?;
        let DataKind::Active { memory_index: 0, offset_expr } = segment.kind else {
            return Ok(refuse("it has passive data segments"));
        };
        let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
            return Ok(refuse("the offset of a data segment is not a constant"));
        };
        segments.push((value.cast_unsigned(), segment.data.to_vec()));
    }
    Ok(Ok(segments))
}

/// Copies a module without its data, exports its mutable globals, and redirects its calls of WASI.
struct DataStripper {
    globals: Vec<u32>,
    /// Functions that are called instead of others.
    redirects: HashMap<u32, u32>,
}

impl Reencode for DataStripper {
    type Error = Infallible;

    fn parse_data_section(
        &mut self,
        _data: &mut DataSection,
        _section: DataSectionReader<'_>,
    ) -> Result<(), ReencodeError<Infallible>> {
        Ok(())
    }

    fn function_index(&mut self, function: u32) -> Result<u32, ReencodeError<Infallible>> {
        Ok(self.redirects.get(&function).copied().unwrap_or(function))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), ReencodeError<Infallible>> {
        for import in section.into_imports() {
            let import = import?;
            let module = if import.module == HOST_WASI { WASI } else { import.module };
            utils::parse_import(self, imports, Import { module, ..import })?;
        }
        Ok(())
    }

    fn data_count(&mut self, _count: u32) -> Result<u32, ReencodeError<Infallible>> {
        Ok(0)
    }

    /// Compiled code does not need names and debug information.
    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), ReencodeError<Infallible>> {
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), ReencodeError<Infallible>> {
        utils::parse_export_section(self, exports, section)?;
        for global in &self.globals {
            exports.export(&format!("{GLOBAL_PREFIX}{global}"), ExportKind::Global, *global);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split_text(text: &str) -> Result<SplitGuest, RuntimeError> {
        split(&wat::parse_str(text).expect("WAT"))
    }

    #[test]
    fn data_is_removed_and_globals_are_exported() {
        let parts = split_text(
            r#"(module (memory (export "memory") 1) (global $sp (mut i32) (i32.const 9)) (global i32 (i32.const 1))
                 (data (i32.const 8) "ab") (data (i32.const 100) "c") (export "sp" (global $sp)))"#,
        )
        .expect("split");
        assert_eq!(parts.data, [(8, b"ab".to_vec()), (100, b"c".to_vec())]);
        let text: Vec<_> = Parser::new(0)
            .parse_all(&parts.code)
            .filter_map(|payload| match payload.expect("a module") {
                Payload::ExportSection(section) => Some(section),
                Payload::DataSection(section) if section.count() > 0 => panic!("data is left"),
                _ => None,
            })
            .flatten()
            .map(|export| export.expect("an export").name.to_owned())
            .collect();
        assert_eq!(text, ["memory", "sp", "__bue_global_0"]);
    }

    #[test]
    fn calls_of_wasi_go_to_the_guests_own_functions() {
        let parts = split_text(
            r#"(module (import "wasi_snapshot_preview1" "fd_read" (func $read (result i32)))
                 (import "wasi_snapshot_preview1" "fd_sync" (func $sync (result i32)))
                 (import "bue_host_wasi" "fd_read" (func $host_read (result i32)))
                 (memory (export "memory") 1)
                 (func (export "bue_wasi_fd_read") (result i32) (i32.add (call $host_read) (i32.const 40)))
                 (func (export "f") (result i32) (i32.mul (call $read) (call $sync))))"#,
        )
        .expect("split");
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, &parts.code).expect("a module");
        let mut linker = wasmtime::Linker::new(&engine);
        linker.func_wrap(WASI, "fd_read", || 2).expect("linked");
        linker.func_wrap(WASI, "fd_sync", || 10).expect("linked");
        let mut store = wasmtime::Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &module).expect("an instance");
        let call = instance.get_typed_func::<(), i32>(&mut store, "f").expect("a function");
        assert_eq!(call.call(&mut store, ()).expect("a number"), 420);
    }

    #[test]
    fn state_outside_an_image_is_refused() {
        for text in [
            r#"(module (memory 1) (data "passive"))"#,
            "(module)",
            r#"(module (import "e" "m" (memory 1)))"#,
            r#"(module (memory 1) (func $f) (start $f))"#,
        ] {
            assert!(matches!(split_text(text), Err(RuntimeError::Guest(_))), "{text}");
        }
        assert!(matches!(split(b"\0asm"), Err(RuntimeError::Guest(_))));
    }
}
