//! Replaces a module's calls through its table of functions by direct calls.
//!
//! wasmtime makes a table for each instance and fills in an entry, together with a record of the function, when it is used for the
//! first time. So there is no table: an indirect call becomes a call of a *dispatcher*, a function that takes the same arguments and
//! the index, and calls the function that the table has there. It traps where the indirect call would.

use core::ops::RangeInclusive;
use std::collections::{BTreeMap, HashMap};

use wasm_encoder::{BlockType, Function, InstructionSink};
use wasmparser::{
    BinaryReaderError, ConstExpr, ElementItems, ElementKind, ElementSectionReader, FuncType, FunctionSectionReader,
    Operator, TableSectionReader, TypeSectionReader,
};

/// Functions up to which a dispatcher compares the index with each. A table of jumps has an entry for each index in between, too.
const MAX_COMPARED: usize = 8;

/// Maximum number of entries in a module's table: validators refuse a table of jumps with more than 65,520. RustPython has 8,700.
const MAX_TABLE_LEN: u64 = 65_000;

/// A function at an index of the table.
#[derive(Clone, Copy, Debug)]
struct Target {
    index: u32,
    function: u32,
}

/// The types and functions of a module, and what its table contains.
#[derive(Debug, Default)]
pub(crate) struct IndirectFunctions {
    types: Vec<FuncType>,
    /// The type of each function, those that are imported first.
    functions: Vec<u32>,
    /// The number of entries in the table.
    table_len: u64,
    /// The function at each index of the table.
    elements: BTreeMap<u32, u32>,
}

impl IndirectFunctions {
    pub(crate) fn add_types(&mut self, section: TypeSectionReader<'_>) -> Result<(), BinaryReaderError> {
        self.types = section.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
        Ok(())
    }

    pub(crate) fn add_imported_function(&mut self, ty: u32) {
        self.functions.push(ty);
    }

    pub(crate) fn add_functions(&mut self, section: FunctionSectionReader<'_>) -> Result<(), BinaryReaderError> {
        for ty in section {
            self.functions.push(ty?);
        }
        Ok(())
    }

    /// Returns why the table is refused, if it is.
    pub(crate) fn add_tables(&mut self, section: TableSectionReader<'_>) -> Result<Option<String>, BinaryReaderError> {
        if section.count() > 1 {
            return Ok(Some("it has several tables".to_owned()));
        }
        for table in section {
            self.table_len = table?.ty.initial;
        }
        let is_long = self.table_len > MAX_TABLE_LEN;
        Ok(is_long.then(|| format!("its table has {} entries, and {MAX_TABLE_LEN} are allowed", self.table_len)))
    }

    /// Returns false if there are elements other than functions at constant indices of the table.
    pub(crate) fn add_elements(&mut self, section: ElementSectionReader<'_>) -> Result<bool, BinaryReaderError> {
        for element in section {
            let element = element?;
            let ElementKind::Active { table_index: None | Some(0), offset_expr } = element.kind else {
                return Ok(false);
            };
            let (Some(offset), ElementItems::Functions(functions)) = (constant(&offset_expr)?, element.items) else {
                return Ok(false);
            };
            if u64::from(offset) + u64::from(functions.count()) > self.table_len {
                return Ok(false);
            }
            for (index, function) in (offset..).zip(functions) {
                self.elements.insert(index, function?);
            }
        }
        Ok(true)
    }

    /// Returns a dispatcher for each type of the functions in the table.
    pub(crate) fn into_dispatchers(self) -> Dispatchers {
        let mut by_type: BTreeMap<FuncType, Vec<Target>> = BTreeMap::new();
        for (index, function) in self.elements {
            let ty = self.functions.get(function as usize).and_then(|ty| self.types.get(*ty as usize));
            if let Some(ty) = ty {
                by_type.entry(ty.clone()).or_default().push(Target { index, function });
            }
        }
        let dispatchers: Vec<Dispatcher> =
            by_type.into_iter().map(|(ty, targets)| Dispatcher { ty, targets }).collect();
        let numbers: HashMap<&FuncType, u32> = dispatchers.iter().map(|dispatcher| &dispatcher.ty).zip(0..).collect();
        let by_type_index = self.types.iter().map(|ty| numbers.get(ty).copied()).collect();
        Dispatchers { first_function: count(self.functions.len()), by_type_index, dispatchers }
    }
}

/// The value of an expression, if it is a constant.
fn constant(expression: &ConstExpr<'_>) -> Result<Option<u32>, BinaryReaderError> {
    Ok(match expression.get_operators_reader().read()? {
        Operator::I32Const { value } => Some(value.cast_unsigned()),
        _ => None,
    })
}

/// The dispatchers of a module. Their types and functions follow those of the module.
#[derive(Debug)]
pub(crate) struct Dispatchers {
    first_function: u32,
    /// For each type of the module, the number of its dispatcher.
    by_type_index: Vec<Option<u32>>,
    pub(crate) dispatchers: Vec<Dispatcher>,
}

impl Dispatchers {
    /// The number of types that the module has without them.
    pub(crate) fn first_type(&self) -> u32 {
        count(self.by_type_index.len())
    }

    /// Returns the index of the function that calls functions of this type, or `None` if the table has none of them.
    pub(crate) fn function(&self, type_index: u32) -> Option<u32> {
        let number = self.by_type_index.get(type_index as usize).copied().flatten()?;
        Some(self.first_function + number)
    }
}

/// Calls one of the functions of a type.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    /// The type of the functions.
    pub(crate) ty: FuncType,
    targets: Vec<Target>,
}

impl Dispatcher {
    /// Returns its code. `direct` says which function is called where a function of the module is.
    pub(crate) fn code(&self, direct: &dyn Fn(u32) -> u32) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        match self.targets.as_slice() {
            [first, .., last] if self.targets.len() > MAX_COMPARED => {
                self.jump(&mut code, first.index..=last.index, direct);
            }
            _ => self.compare(&mut code, direct),
        }
        code.unreachable().end();
        function
    }

    fn compare(&self, code: &mut InstructionSink<'_>, direct: &dyn Fn(u32) -> u32) {
        for target in &self.targets {
            code.local_get(self.index()).i32_const(target.index.cast_signed()).i32_eq().if_(BlockType::Empty);
            self.call(code, direct(target.function));
            code.end();
        }
    }

    fn jump(&self, code: &mut InstructionSink<'_>, indices: RangeInclusive<u32>, direct: &dyn Fn(u32) -> u32) {
        let labels: HashMap<u32, u32> = self.targets.iter().map(|target| target.index).zip(0..).collect();
        let trap = count(self.targets.len());
        // the call of the first function follows the innermost block, the trap the outermost one
        for _ in 0..=trap {
            code.block(BlockType::Empty);
        }
        code.local_get(self.index()).i32_const(indices.start().cast_signed()).i32_sub();
        let labels: Vec<u32> = indices.map(|index| labels.get(&index).copied().unwrap_or(trap)).collect();
        code.br_table(labels, trap).end();
        for target in &self.targets {
            self.call(code, direct(target.function));
            code.end();
        }
    }

    fn call(&self, code: &mut InstructionSink<'_>, function: u32) {
        for parameter in 0..self.index() {
            code.local_get(parameter);
        }
        code.call(function).return_();
    }

    /// The parameter that is the index; it follows those of the functions.
    fn index(&self) -> u32 {
        count(self.ty.params().len())
    }
}

/// A module has less than 2^32 of anything.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
