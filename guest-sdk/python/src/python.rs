//! Classes of values, functions of `lib/`, and small conversions.

use rustpython_vm::builtins::{PyType, PyTypeRef};
use rustpython_vm::function::{FuncArgs, KwArgs};
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};

/// Classes of values that are not built-in types, and how to construct and read them.
pub(crate) struct Types {
    pub(crate) uuid: PyTypeRef,
    pub(crate) decimal: PyTypeRef,
    pub(crate) ordered_dict: PyTypeRef,
    pub(crate) datetime: Temporal,
    pub(crate) date: Temporal,
    pub(crate) time: Temporal,
    pub(crate) result: PyTypeRef,
    pub(crate) status: PyTypeRef,
    /// The function of steps that run as one job.
    pub(crate) fused: PyTypeRef,
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
            fused: class("bue._fused", "Fused", vm)?,
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
    pub(crate) explain_missing: PyObjectRef,
    pub(crate) reset_randomness: PyObjectRef,
    pub(crate) describe: PyObjectRef,
    pub(crate) kind: PyObjectRef,
    pub(crate) explain_unsupported: PyObjectRef,
    pub(crate) short_repr: PyObjectRef,
    pub(crate) run: PyObjectRef,
    pub(crate) iterate: PyObjectRef,
    pub(crate) warm_up: PyObjectRef,
    /// The dict `bue.env`.
    pub(crate) env: PyObjectRef,
    /// The list of threads that have not started.
    pub(crate) queued_threads: PyObjectRef,
    pub(crate) finish_threads: PyObjectRef,
    /// The list of values of the bucket that are being written.
    pub(crate) unclosed_values: PyObjectRef,
    pub(crate) refuse_unclosed_values: PyObjectRef,
    pub(crate) set_variables: PyObjectRef,
    pub(crate) set_soft_limit: PyObjectRef,
    pub(crate) deliver_soft_limit: PyObjectRef,
    pub(crate) rows: PyObjectRef,
}

impl Helpers {
    pub(crate) fn new(vm: &VirtualMachine) -> PyResult<Self> {
        Ok(Self {
            load: attribute("bue._loader", "load", vm)?,
            find: attribute("bue._loader", "find", vm)?,
            explain_missing: attribute("bue._loader", "explain_missing", vm)?,
            reset_randomness: attribute("bue._randomness", "reset_randomness", vm)?,
            describe: attribute("bue._traceback", "describe", vm)?,
            kind: attribute("bue._explain", "kind", vm)?,
            explain_unsupported: attribute("bue._explain", "explain_unsupported", vm)?,
            short_repr: attribute("bue._explain", "short_repr", vm)?,
            run: attribute("bue._event_loop", "run", vm)?,
            iterate: attribute("bue._event_loop", "iterate", vm)?,
            warm_up: attribute("bue._warm_up", "warm_up", vm)?,
            env: attribute("bue", "env", vm)?,
            queued_threads: attribute("bue._scheduler", "queued", vm)?,
            unclosed_values: attribute("bue.bucket", "unclosed", vm)?,
            refuse_unclosed_values: attribute("bue.bucket", "refuse_unclosed", vm)?,
            set_variables: attribute("bue._local_time", "set_variables", vm)?,
            finish_threads: attribute("bue._scheduler", "finish", vm)?,
            set_soft_limit: attribute("bue._soft_limit", "set_message", vm)?,
            deliver_soft_limit: attribute("bue._soft_limit", "deliver", vm)?,
            rows: attribute("bue._fused", "rows", vm)?,
        })
    }
}

/// Positional arguments and one keyword argument.
pub(crate) fn with_keyword(args: Vec<PyObjectRef>, name: &str, value: PyObjectRef) -> FuncArgs {
    let mut keywords = KwArgs::default();
    keywords.insert(name.into(), value);
    FuncArgs::new(args, keywords)
}

/// `str(value)` as a Rust string. Lone surrogates are replaced.
pub(crate) fn to_text(value: &PyObject, vm: &VirtualMachine) -> PyResult<String> {
    Ok(value.str(vm)?.to_string_lossy().into_owned())
}

/// What a helper of `lib/_explain.py` returns for a value. If the helper itself fails, the value's class.
pub(crate) fn explain(helper: &PyObject, value: &PyObject, vm: &VirtualMachine) -> String {
    let explanation = helper.call((value.to_owned(),), vm).and_then(|text| to_text(&text, vm));
    explanation.unwrap_or_else(|_| format!("is an instance of {}", value.class().name()))
}

fn attribute(module: &str, name: &'static str, vm: &VirtualMachine) -> PyResult {
    let modules = vm.sys_module.get_attr("modules", vm)?;
    modules.get_item(module, vm)?.get_attr(name, vm)
}

fn class(module: &str, name: &'static str, vm: &VirtualMachine) -> PyResult<PyTypeRef> {
    attribute(module, name, vm)?.downcast::<PyType>().map_err(|_| vm.new_type_error(format!("{name} is not a class")))
}
