//! The Python of the sandbox, for which pip resolves requirements.

use serde_json::json;

/// Its version, as in `--python-version`.
pub(crate) const PYTHON: &str = "3.14";
const PYTHON_FULL: &str = "3.14.0";

/// Returns the environment that markers of requirements are evaluated in, as JSON: the guest's, not this machine's.
pub(super) fn marker_environment() -> String {
    json!({
        "implementation_name": "rustpython",
        "implementation_version": PYTHON_FULL,
        "os_name": "posix",
        "platform_machine": "wasm32",
        "platform_python_implementation": "RustPython",
        "platform_release": "",
        "platform_system": "wasi",
        "platform_version": "",
        "python_full_version": PYTHON_FULL,
        "python_version": PYTHON,
        "sys_platform": "wasi",
    })
    .to_string()
}
