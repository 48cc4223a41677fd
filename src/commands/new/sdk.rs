//! The SDK for steps in Rust, which is copied into a project so that the project builds on any machine. The files keep their
//! relative paths.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::process::command_error::CommandError;

macro_rules! sdk_file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../", $path)))
    };
}

/// Paths and contents.
const FILES: &[(&str, &str)] = &[
    sdk_file!("guest-sdk/rust/Cargo.toml"),
    sdk_file!("guest-sdk/rust/macros/Cargo.toml"),
    sdk_file!("guest-sdk/rust/macros/src/lib.rs"),
    sdk_file!("guest-sdk/rust/src/__private.rs"),
    sdk_file!("guest-sdk/rust/src/bindings.rs"),
    sdk_file!("guest-sdk/rust/src/blob.rs"),
    sdk_file!("guest-sdk/rust/src/error.rs"),
    sdk_file!("guest-sdk/rust/src/exports.rs"),
    sdk_file!("guest-sdk/rust/src/host.rs"),
    sdk_file!("guest-sdk/rust/src/http.rs"),
    sdk_file!("guest-sdk/rust/src/lib.rs"),
    sdk_file!("guest-sdk/rust/src/outcome.rs"),
    sdk_file!("guest-sdk/rust/src/values.rs"),
    sdk_file!("guest-sdk/wit/step.wit"),
    sdk_file!("model/Cargo.toml"),
    sdk_file!("model/src/attempt.rs"),
    sdk_file!("model/src/audit.rs"),
    sdk_file!("model/src/bulk.rs"),
    sdk_file!("model/src/bundle.rs"),
    sdk_file!("model/src/call_state.rs"),
    sdk_file!("model/src/cbor/decode.rs"),
    sdk_file!("model/src/cbor/encode.rs"),
    sdk_file!("model/src/cbor/error.rs"),
    sdk_file!("model/src/cbor/items.rs"),
    sdk_file!("model/src/cbor/mod.rs"),
    sdk_file!("model/src/cbor/reader.rs"),
    sdk_file!("model/src/cbor/tags.rs"),
    sdk_file!("model/src/cbor/transcode.rs"),
    sdk_file!("model/src/failed_jobs.rs"),
    sdk_file!("model/src/guest.rs"),
    sdk_file!("model/src/history.rs"),
    sdk_file!("model/src/ids.rs"),
    sdk_file!("model/src/job.rs"),
    sdk_file!("model/src/encoded_json.rs"),
    sdk_file!("model/src/json.rs"),
    sdk_file!("model/src/key_hashes.rs"),
    sdk_file!("model/src/keys.rs"),
    sdk_file!("model/src/language.rs"),
    sdk_file!("model/src/length_limit.rs"),
    sdk_file!("model/src/lib.rs"),
    sdk_file!("model/src/list_operation.rs"),
    sdk_file!("model/src/log.rs"),
    sdk_file!("model/src/nesting_limit.rs"),
    sdk_file!("model/src/location.rs"),
    sdk_file!("model/src/net.rs"),
    sdk_file!("model/src/net_rule.rs"),
    sdk_file!("model/src/param/bind.rs"),
    sdk_file!("model/src/param/convert.rs"),
    sdk_file!("model/src/param/declaration.rs"),
    sdk_file!("model/src/param/kind.rs"),
    sdk_file!("model/src/param/mod.rs"),
    sdk_file!("model/src/param/exact_json.rs"),
    sdk_file!("model/src/param/tests.rs"),
    sdk_file!("model/src/param/view.rs"),
    sdk_file!("model/src/pipeline.rs"),
    sdk_file!("model/src/plan.rs"),
    sdk_file!("model/src/plan_versions.rs"),
    sdk_file!("model/src/rerun.rs"),
    sdk_file!("model/src/schedule.rs"),
    sdk_file!("model/src/serde_value/deserializer.rs"),
    sdk_file!("model/src/serde_value/embedded.rs"),
    sdk_file!("model/src/serde_value/error.rs"),
    sdk_file!("model/src/serde_value/mod.rs"),
    sdk_file!("model/src/serde_value/serializer.rs"),
    sdk_file!("model/src/sql_table.rs"),
    sdk_file!("model/src/text.rs"),
    sdk_file!("model/src/trace.rs"),
    sdk_file!("model/src/value.rs"),
    sdk_file!("model/src/value_name.rs"),
    sdk_file!("model/src/wall_part.rs"),
    sdk_file!("model/src/wire/collections.rs"),
    sdk_file!("model/src/wire/errors.rs"),
    sdk_file!("model/src/wire/jobs.rs"),
    sdk_file!("model/src/wire/leases.rs"),
    sdk_file!("model/src/wire/mod.rs"),
    sdk_file!("model/src/wire/pieces.rs"),
    sdk_file!("model/src/wire/reports.rs"),
    sdk_file!("model/src/wire/results.rs"),
    sdk_file!("model/src/wire/runs.rs"),
    sdk_file!("model/src/wire/workers.rs"),
    sdk_file!("model/src/words.rs"),
];

/// Writes the SDK into a folder, unless the folder exists: a project keeps the SDK that its steps were written for.
pub(super) fn write_sdk(folder: &Path) -> Result<(), CommandError> {
    if folder.exists() {
        return Ok(());
    }
    for (path, text) in FILES {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("failed to create {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn collect_sources(folder: &Path, paths: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect_sources(&path, paths);
            } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "toml" || kind == "wit") {
                paths.push(path);
            }
        }
    }

    #[test]
    fn all_files_of_the_sdk_are_written() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = Vec::new();
        for folder in ["guest-sdk/rust", "guest-sdk/wit", "model/src"] {
            collect_sources(&root.join(folder), &mut paths);
        }
        for path in paths {
            let path = path.strip_prefix(root).expect("inside").to_string_lossy().into_owned();
            assert!(FILES.iter().any(|(known, _)| *known == path), "{path} is not written by `bue new step`");
        }
    }
}
