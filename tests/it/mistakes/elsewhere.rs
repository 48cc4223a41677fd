//! Mistakes and accidents whose tests are in other files, because they need servers that are killed, full disks or compilers.

use std::fs;
use std::path::Path;

/// What happens, and the file and function that tests it.
const ELSEWHERE: [(&str, &str, &str); 11] = [
    ("the disk is full", "reliability/full.rs", "service_survives_a_full_file_system"),
    ("Ctrl-C during a run", "cli.rs", "ctrl_c_stops_a_run_with_code_130"),
    ("Ctrl-C during `bue status -s`", "verbs.rs", "a_subscribed_status_updates_until_the_run_has_ended"),
    ("a worker is killed while a step runs", "verbs.rs", "a_killed_workers_job_completes_elsewhere"),
    ("two runs in one folder", "verbs.rs", "a_state_folder_is_used_by_one_process_only"),
    ("a role that may not do this", "tokens.rs", "a_token_permits_what_its_role_permits"),
    ("a file of a step that cannot be read", "server_errors.rs", "a_file_that_cannot_be_read_is_no_text_problem"),
    ("a server that is none of ours", "server_errors.rs", "a_refusal_names_the_server_that_refused"),
    ("a server for everyone without tokens", "tokens.rs", "without_tokens_a_server_listens_on_loopback_only"),
    ("a compiler that is not installed", "compiled.rs", "a_missing_compiler_is_reported_with_an_install_hint"),
    ("source code that does not compile", "compiled.rs", "compiler_errors_are_shown_with_the_step"),
];

#[test]
fn the_other_mistakes_have_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for (what, file, test) in ELSEWHERE {
        let text = fs::read_to_string(folder.join(file)).expect("a test file");
        assert!(text.contains(&format!("fn {test}(")), "{what}: {file} has no test {test}");
    }
}
