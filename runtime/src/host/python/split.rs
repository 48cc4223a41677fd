//! Takes the data out of the guest's module, so that one compiled module serves every memory image.
//!
//! What is left is code: instantiating it touches no memory. The globals that change while the guest runs are exported,
//! because their values belong to an image as its memory does.

use core::convert::Infallible;

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, utils};
use wasm_encoder::{DataSection, ExportKind, ExportSection, Module};
use wasmparser::{DataKind, DataSectionReader, ExportSectionReader, GlobalSectionReader, Operator, Parser, Payload};

use crate::error::RuntimeError;

/// What the names of exported globals begin with.
pub(crate) const GLOBAL_PREFIX: &str = "__bue_global_";

/// A guest module taken apart.
pub(crate) struct SplitGuest {
    /// The module without data.
    pub(crate) code: Vec<u8>,
    /// Offset and bytes of each data segment.
    pub(crate) data: Vec<(u32, Vec<u8>)>,
}

/// Takes a module apart.
///
/// # Errors
/// Bytes that are no module, and modules whose state an image would not hold: more than one memory or an imported one,
/// passive segments, imported globals.
pub(crate) fn split(wasm: &[u8]) -> Result<SplitGuest, RuntimeError> {
    let found = find(wasm).map_err(|error| RuntimeError::Guest(format!("read its module: {error}")))??;
    let mut stripper = Stripper { globals: found.globals };
    let mut module = Module::new();
    stripper
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .map_err(|error| RuntimeError::Guest(format!("rewrite its module: {error}")))?;
    Ok(SplitGuest { code: module.finish(), data: found.data })
}

#[derive(Default)]
struct Found {
    data: Vec<(u32, Vec<u8>)>,
    globals: Vec<u32>,
    memories: u32,
}

type Parsed<T> = Result<Result<T, RuntimeError>, wasmparser::BinaryReaderError>;

fn find(wasm: &[u8]) -> Parsed<Found> {
    let mut found = Found::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::MemorySection(section) => found.memories = section.count(),
            Payload::GlobalSection(section) => found.globals = mutable_globals(section)?,
            Payload::DataSection(section) => match segments(section)? {
                Ok(data) => found.data = data,
                Err(refused) => return Ok(Err(refused)),
            },
            Payload::StartSection { .. } => return Ok(refuse("it has a start function")),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if !matches!(import?.ty, wasmparser::TypeRef::Func(_)) {
                        return Ok(refuse("it imports something that is no function"));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(if found.memories == 1 { Ok(found) } else { refuse("it does not have exactly one memory") })
}

fn refuse<T>(why: &str) -> Result<T, RuntimeError> {
    Err(RuntimeError::Guest(format!("image its state: {why}")))
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

fn segments(section: DataSectionReader<'_>) -> Parsed<Vec<(u32, Vec<u8>)>> {
    let mut segments = Vec::new();
    for segment in section {
        let segment = segment?;
        let DataKind::Active { memory_index: 0, offset_expr } = segment.kind else {
            return Ok(refuse("it has passive data segments"));
        };
        let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
            return Ok(refuse("the place of a data segment is not a constant"));
        };
        segments.push((value.cast_unsigned(), segment.data.to_vec()));
    }
    Ok(Ok(segments))
}

/// Copies a module without its data, exporting its mutable globals.
struct Stripper {
    globals: Vec<u32>,
}

impl Reencode for Stripper {
    type Error = Infallible;

    fn parse_data_section(
        &mut self,
        _data: &mut DataSection,
        _section: DataSectionReader<'_>,
    ) -> Result<(), ReencodeError<Infallible>> {
        Ok(())
    }

    fn data_count(&mut self, _count: u32) -> Result<u32, ReencodeError<Infallible>> {
        Ok(0)
    }

    /// Names and debug sections are of no use to compiled code.
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

    fn parts(text: &str) -> Result<SplitGuest, RuntimeError> {
        split(&wat::parse_str(text).expect("WAT"))
    }

    #[test]
    fn data_goes_and_globals_are_exported() {
        let parts = parts(
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
    fn state_that_an_image_would_not_hold_is_refused() {
        for text in [
            r#"(module (memory 1) (data "passive"))"#,
            "(module)",
            r#"(module (import "e" "m" (memory 1)))"#,
            r#"(module (memory 1) (func $f) (start $f))"#,
        ] {
            assert!(matches!(parts(text), Err(RuntimeError::Guest(_))), "{text}");
        }
        assert!(matches!(split(b"\0asm"), Err(RuntimeError::Guest(_))));
    }
}
