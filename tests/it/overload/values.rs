//! Results and inputs that would not fit into the worker's memory.

use super::{Services, WorkerOptions, count, expect_failure, expect_others_get_on, upload};
use crate::project::step;
use crate::services::wait_for_count;

/// Test D: forty results of 60 MiB are stored, and the step that gathers them fails for their size, before any of it is fetched.
#[test]
fn results_that_do_not_fit_together_are_refused_by_their_sizes() {
    const RESULTS: u64 = 40;
    let services = Services::start(WorkerOptions::default());
    let script = [
        step("source", &format!("def source():\n    return list(range({RESULTS}))")),
        step("large", "def large(n):\n    return bytes(60 << 20)"),
        step("gather", "def gather(all):\n    return len(all)"),
        "all = [large(n) for n in source()]\ngather(all)\n".to_owned(),
    ];
    let project = services.project(&[("x.bue", &script.concat())]);
    let run = upload(&project);
    wait_for_count("all results are stored", RESULTS + 1, || count(&project, &run, "completed"));
    wait_for_count("the last step fails", 1, || count(&project, &run, "failed"));
    let peak = services.peak_mib();
    println!("at most {peak} MiB");
    assert!(peak < 1024, "{peak} MiB");
    expect_failure(&project, &run, "more than the input limit of 128 MiB");
    services.expect_leases_kept();
    services.stop();
}

/// Test Q: a list of many small elements took dozens of bytes for each of them while it was split for its loop.
#[test]
fn a_list_of_many_elements_is_split_in_little_memory() {
    let services = Services::start(WorkerOptions::default());
    // the first is more than a step's memory holds
    for (elements, state) in [(60_000_000, "failed"), (3_000_000, "completed")] {
        let script = [
            step("source", &format!("def source():\n    return [0] * {elements}")),
            step("pass_on", "def pass_on(n):\n    return n"),
            "for n in source():\n    pass_on(n)\n".to_owned(),
        ];
        let project = services.project(&[("x.bue", &script.concat())]);
        let run = upload(&project);
        wait_for_count("the list is there", 1, || count(&project, &run, state));
        project.bue(&["cancel", &run]);
        let peak = services.peak_mib();
        println!("{elements} elements: at most {peak} MiB");
        assert!(peak < 128, "{peak} MiB");
    }
    expect_others_get_on(&services);
    services.expect_leases_kept();
    services.stop();
}
