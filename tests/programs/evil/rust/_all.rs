//! All hostile steps in one component; `Guest` calls each by the name of its file.

mod a_blob_of_another_place;
mod a_list_of_lies;
mod a_log_line_out_of_bounds;
mod a_log_line_that_is_no_text;
mod a_result_without_a_bottom;
mod aborts;
mod an_env_of_65_mib;
mod clocks_are_coarse;
mod dropped_twice;
mod environment;
mod exits;
mod files;
mod headers_without_end;
mod leaves_a_pattern;
mod looks_for_a_pattern;
mod loops;
mod memory_all_at_once;
mod memory_by_doubling;
mod origins;
mod panics_without_end;
mod pollables_without_end;
mod prints_without_end;
mod processes;
mod random_four_gigabytes;
mod recursion;
mod results_that_are_huge;
mod secrets;
mod sleeps_for_ever;
mod sleeps_without_end;
mod sockets;
mod terminal_escapes;
mod unknown_handle;
mod writes_before_it_may;

/// What means no harm, where the others are.
#[bue::step]
fn innocent() -> u8 {
    7
}
