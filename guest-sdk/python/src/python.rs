//! What the guest needs of Python at hand: classes of values, and functions of `lib/`.

use rustpython_vm::builtins::{PyType, PyTypeRef};
use rustpython_vm::function::{FuncArgs, KwArgs};
use rustpython_vm::{AsObject, PyObjectRef, PyResult, VirtualMachine};

/// Classes of values that are no built-in types, and how they are made and read.
pub(crate) struct Types {
    pub(crate) uuid: PyTypeRef,
    pub(crate) decimal: PyTypeRef,
    pub(crate) ordered_dict: PyTypeRef,
    pub(crate) datetime: Temporal,
    pub(crate) date: Temporal,
    pub(crate) time: Temporal,
    pub(crate) result: PyTypeRef,
    pub(crate) status: PyTypeRef,
}

/// `date`, `time` or `datetime`.
pub(crate) struct Temporal {
    pub(crate) class: PyTypeRef,
    pub(crate) from_iso: PyObjectRef,
    pub(crate) to_iso: PyObjectRef,
}

impl Types {
    pub(crate) fn new(vm: &VirtualMachine) -> PyResult<Self> {
        Ok(Self {
            uuid: class("uuid", "UUID", vm)?,
            decimal: class("decimal", "Decimal", vm)?,
            ordered_dict: class("collections", "OrderedDict", vm)?,
            datetime: Temporal::new("datetime", vm)?,
            date: Temporal::new("date", vm)?,
            time: Temporal::new("time", vm)?,
            result: class("bue", "Result", vm)?,
            status: class("bue", "StepStatus", vm)?,
        })
    }
}

impl Temporal {
    fn new(name: &'static str, vm: &VirtualMachine) -> PyResult<Self> {
        let class = class("datetime", name, vm)?;
        let attribute = |name: &'static str| class.as_object().get_attr(name, vm);
        Ok(Self { from_iso: attribute("fromisoformat")?, to_iso: attribute("isoformat")?, class: class.clone() })
    }
}

/// Functions of `lib/`.
pub(crate) struct Helpers {
    pub(crate) load: PyObjectRef,
    pub(crate) find: PyObjectRef,
    pub(crate) missing: PyObjectRef,
    pub(crate) forget_chance: PyObjectRef,
    pub(crate) describe: PyObjectRef,
    pub(crate) kind: PyObjectRef,
    pub(crate) refuse: PyObjectRef,
    pub(crate) short: PyObjectRef,
    pub(crate) run: PyObjectRef,
    pub(crate) iterate: PyObjectRef,
    pub(crate) warm: PyObjectRef,
    /// The dict `bue.env`.
    pub(crate) env: PyObjectRef,
}

impl Helpers {
    pub(crate) fn new(vm: &VirtualMachine) -> PyResult<Self> {
        Ok(Self {
            load: attribute("bue._loader", "load", vm)?,
            find: attribute("bue._loader", "find", vm)?,
            missing: attribute("bue._loader", "missing", vm)?,
            forget_chance: attribute("bue._fresh", "forget_chance", vm)?,
            describe: attribute("bue._trace", "describe", vm)?,
            kind: attribute("bue._explain", "kind", vm)?,
            refuse: attribute("bue._explain", "refuse", vm)?,
            short: attribute("bue._explain", "short", vm)?,
            run: attribute("bue._loop", "run", vm)?,
            iterate: attribute("bue._loop", "iterate", vm)?,
            warm: attribute("bue._warm", "warm", vm)?,
            env: attribute("bue", "env", vm)?,
        })
    }
}

/// Call with one keyword argument more.
pub(crate) fn with_keyword(args: Vec<PyObjectRef>, name: &str, value: PyObjectRef) -> FuncArgs {
    let mut keywords = KwArgs::default();
    keywords.insert(name.into(), value);
    FuncArgs::new(args, keywords)
}

fn attribute(module: &str, name: &'static str, vm: &VirtualMachine) -> PyResult {
    let modules = vm.sys_module.get_attr("modules", vm)?;
    modules.get_item(module, vm)?.get_attr(name, vm)
}

fn class(module: &str, name: &'static str, vm: &VirtualMachine) -> PyResult<PyTypeRef> {
    attribute(module, name, vm)?.downcast::<PyType>().map_err(|_| vm.new_type_error(format!("{name} is no class")))
}
