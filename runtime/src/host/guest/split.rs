//! Separates the data of the guest's module from its code, so that one compiled module serves every memory image.
//!
//! Instantiating the remaining module does not touch memory. Its mutable globals are exported, because their values are part
//! of an image. It has no table of functions either ([`dispatch`](crate::host::guest::dispatch)).
//!
//! A guest can implement functions of WASI itself: if it exports `bue_wasi_path_open`, its calls of WASI's `path_open` go there. What
//! it imports from `bue_host_wasi` is WASI's function of that name.

use std::collections::HashMap;

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, utils};
use wasm_encoder::{
    CodeSection, DataSection, ElementSection, ExportKind, ExportSection, FunctionSection, ImportSection, Instruction,
    Module, TableSection, TypeSection,
};
use wasmparser::{
    CodeSectionReader, DataKind, DataSectionReader, ElementSectionReader, ExportSectionReader, ExternalKind,
    FunctionSectionReader, GlobalSectionReader, Import, ImportSectionReader, Operator, Parser, Payload,
    TableSectionReader, TypeSectionReader,
};

use crate::error::RuntimeError;
use crate::host::guest::dispatch::{Dispatchers, IndirectFunctions};

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
/// passive data segments, imported globals, a start function, a table that is not constant.
pub(crate) fn split(wasm: &[u8]) -> Result<SplitGuest, RuntimeError> {
    let state = find_state(wasm).map_err(|error| RuntimeError::Guest(format!("read its module: {error}")))??;
    let redirects = state.redirects();
    let dispatchers = state.indirect.into_dispatchers();
    let mut rewriter = Rewriter { globals: state.globals, redirects, dispatchers };
    let mut module = Module::new();
    rewriter
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
    /// The functions that it calls through its table.
    indirect: IndirectFunctions,
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

type Rewritten<T> = Result<T, ReencodeError<&'static str>>;

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
            Payload::TypeSection(section) => state.indirect.add_types(section)?,
            Payload::FunctionSection(section) => state.indirect.add_functions(section)?,
            Payload::TableSection(section) => {
                if let Some(reason) = state.indirect.add_tables(section)? {
                    return Ok(refuse(&reason));
                }
            }
            Payload::ElementSection(section) => match state.indirect.add_elements(section)? {
                true => {}
                false => {
                    return Ok(refuse("it fills its table with something other than functions at constant indices"));
                }
            },
            Payload::StartSection { .. } => return Ok(refuse("it has a start function")),
            Payload::ImportSection(section) => {
                for (index, import) in (0_u32..).zip(section.into_imports()) {
                    let import = import?;
                    let wasmparser::TypeRef::Func(ty) = import.ty else {
                        return Ok(refuse("it imports something that is not a function"));
                    };
                    state.indirect.add_imported_function(ty);
                    if import.module == WASI {
                        state.wasi.insert(index, import.name.to_owned());
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Func => drop(state.functions.insert(export.name.to_owned(), export.index)),
                        ExternalKind::Table => return Ok(refuse("it exports a table")),
                        _ => {}
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

/// Copies a module without its data and its table, exports its mutable globals, and redirects its calls of WASI and those through
/// the table.
struct Rewriter {
    globals: Vec<u32>,
    /// Functions that are called instead of others.
    redirects: HashMap<u32, u32>,
    dispatchers: Dispatchers,
}

impl Rewriter {
    fn direct(&self, function: u32) -> u32 {
        self.redirects.get(&function).copied().unwrap_or(function)
    }
}

impl Reencode for Rewriter {
    type Error = &'static str;

    fn parse_data_section(&mut self, _data: &mut DataSection, _section: DataSectionReader<'_>) -> Rewritten<()> {
        Ok(())
    }

    fn function_index(&mut self, function: u32) -> Rewritten<u32> {
        Ok(self.direct(function))
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Rewritten<Instruction<'a>> {
        match operator {
            Operator::CallIndirect { type_index, .. } => Ok(match self.dispatchers.function(type_index) {
                Some(dispatcher) => Instruction::Call(dispatcher),
                // there is no function that it could call
                None => Instruction::Unreachable,
            }),
            Operator::ReturnCallIndirect { .. }
            | Operator::TableGet { .. }
            | Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableSize { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. } => Err(ReencodeError::UserError("it uses its table as a value")),
            operator => utils::instruction(self, operator),
        }
    }

    fn parse_type_section(&mut self, types: &mut TypeSection, section: TypeSectionReader<'_>) -> Rewritten<()> {
        utils::parse_type_section(self, types, section)?;
        for ty in self.dispatchers.dispatchers.iter().map(|dispatcher| dispatcher.ty.clone()).collect::<Vec<_>>() {
            // the index follows the arguments
            let parameters = ty.params().iter().copied().chain([wasmparser::ValType::I32]).collect();
            let results = ty.results().to_vec();
            let (parameters, results) = (self.val_types(parameters)?, self.val_types(results)?);
            types.ty().function(parameters, results);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Rewritten<()> {
        utils::parse_function_section(self, functions, section)?;
        for (ty, _) in (self.dispatchers.first_type()..).zip(&self.dispatchers.dispatchers) {
            functions.function(ty);
        }
        Ok(())
    }

    fn parse_table_section(&mut self, _tables: &mut TableSection, _section: TableSectionReader<'_>) -> Rewritten<()> {
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        _elements: &mut ElementSection,
        _section: ElementSectionReader<'_>,
    ) -> Rewritten<()> {
        Ok(())
    }

    fn parse_code_section(&mut self, code: &mut CodeSection, section: CodeSectionReader<'_>) -> Rewritten<()> {
        utils::parse_code_section(self, code, section)?;
        for dispatcher in &self.dispatchers.dispatchers {
            code.function(&dispatcher.code(&|function| self.direct(function)));
        }
        Ok(())
    }

    fn parse_import_section(&mut self, imports: &mut ImportSection, section: ImportSectionReader<'_>) -> Rewritten<()> {
        for import in section.into_imports() {
            let import = import?;
            let module = if import.module == HOST_WASI { WASI } else { import.module };
            utils::parse_import(self, imports, Import { module, ..import })?;
        }
        Ok(())
    }

    fn data_count(&mut self, _count: u32) -> Rewritten<u32> {
        Ok(0)
    }

    /// Compiled code does not need names and debug information.
    fn parse_custom_section(
        &mut self,
        _module: &mut Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Rewritten<()> {
        Ok(())
    }

    fn parse_export_section(&mut self, exports: &mut ExportSection, section: ExportSectionReader<'_>) -> Rewritten<()> {
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

    /// A module with a table: functions of two types, a few of the first and many of the second, an imported one, and gaps.
    fn module_with_table() -> String {
        let few = (0..3).map(|number| format!("(func $few{number} (result i64) (i64.const {number}))"));
        let many = (0..20).map(|number| {
            format!("(func $many{number} (param i32 f64) (result i32) (i32.add (local.get 0) (i32.const {number})))")
        });
        let functions: String = few.chain(many).collect();
        let elements: String =
            (0..20).map(|number| format!("(elem (i32.const {}) $many{number})", 7 + 3 * number)).collect();
        format!(
            r#"(module (type $few (func (result i64))) (type $many (func (param i32 f64) (result i32)))
                 (type $import (func (param i32))) (type $none (func (param f32)))
                 (import "wasi_snapshot_preview1" "proc_exit" (func $exit (type $import)))
                 (memory (export "memory") 1) (table 100 funcref) {functions} {elements}
                 (elem (i32.const 1) $few0 $few1 $few2 $exit)
                 (func (export "few") (param i32) (result i64) (call_indirect (type $few) (local.get 0)))
                 (func (export "many") (param i32) (result i64)
                   (i64.extend_i32_s (call_indirect (type $many) (i32.const 1000) (f64.const 0) (local.get 0))))
                 (func (export "import") (param i32) (result i64)
                   (call_indirect (type $import) (i32.const 5) (local.get 0)) (i64.const -1))
                 (func (export "none") (param i32) (result i64)
                   (call_indirect (type $none) (f32.const 5) (local.get 0)) (i64.const -2)))"#
        )
    }

    /// The results of calls through each index of a table, in the order of the exports; `None` is a trap.
    fn results_through_the_table(wasm: &[u8]) -> Vec<Option<i64>> {
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, wasm).expect("a module");
        let mut linker = wasmtime::Linker::new(&engine);
        linker.func_wrap(WASI, "proc_exit", |_: i32| ()).expect("linked");
        let mut store = wasmtime::Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &module).expect("an instance");
        let mut results = Vec::new();
        for name in ["few", "many", "import", "none"] {
            let function = instance.get_typed_func::<i32, i64>(&mut store, name).expect("a function");
            for index in [-1, i32::MIN].into_iter().chain(0..120) {
                results.push(function.call(&mut store, index).ok());
            }
        }
        results
    }

    #[test]
    fn calls_through_the_table_reach_the_same_functions_without_it() {
        let wasm = wat::parse_str(module_with_table()).expect("WAT");
        let parts = split(&wasm).expect("split");
        let tables = Parser::new(0).parse_all(&parts.code).filter(|payload| match payload {
            Ok(Payload::TableSection(section)) => section.count() > 0,
            Ok(Payload::ElementSection(section)) => section.count() > 0,
            _ => false,
        });
        assert_eq!(tables.count(), 0);
        let results = results_through_the_table(&wasm);
        assert_eq!(results.iter().flatten().count(), 3 + 20 + 1);
        assert_eq!(results_through_the_table(&parts.code), results);
    }

    #[test]
    fn state_outside_an_image_is_refused() {
        for text in [
            r#"(module (memory 1) (data "passive"))"#,
            "(module)",
            r#"(module (import "e" "m" (memory 1)))"#,
            r#"(module (memory 1) (func $f) (start $f))"#,
            r#"(module (memory 1) (table (export "t") 1 funcref))"#,
            r#"(module (memory 1) (table 1 funcref) (table 1 funcref))"#,
            r#"(module (memory 1) (table 65001 funcref))"#,
            r#"(module (memory 1) (table 2 funcref) (func $f) (elem (i32.const 1) $f $f))"#,
            r#"(module (memory 1) (table 1 funcref) (func $f) (elem func $f))"#,
            r#"(module (memory 1) (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))"#,
            r#"(module (memory 1) (table 1 funcref) (func (result i32) (table.size)))"#,
        ] {
            assert!(matches!(split_text(text), Err(RuntimeError::Guest(_))), "{text}");
        }
        assert!(matches!(split(b"\0asm"), Err(RuntimeError::Guest(_))));
    }
}
