//! The whole system from the outside: the real `bue` binary, real servers, real sandboxes.
//!
//! ```text
//! project        a folder with files in which `bue` runs; every run is checked for panics and stray files
//! run            values, loops, pending, reset, tracebacks, exit codes
//! results        what is printed, and what has no result
//! bad_input      errors of users, each reported once and clearly
//! check          diagnostics before anything runs
//! check_code     what the code of steps imports, opens and starts
//! import         files of PypeLine become scripts and schedules
//! guest_modules  the list of modules that a step can import
//! admission      how many jobs a worker takes
//! compiled       steps in compiled languages, from their source to a result
//! examples       the programs in examples/
//! cli            usage, help, settings, pipes, Ctrl-C
//! bucket         large values, values that expire, blobs of old runs
//! services       hub, bucket and worker as separate processes
//! server_errors  errors that name the server, the line, the file
//! tokens         the production recipe, and refused requests
//! tls            the same over TLS, with client certificates
//! files          files that are packed with steps
//! live_logs      what steps print, seen while they run
//! verbs          the verbs that use running services
//! many_runs      lists over all runs, and verbs that change many runs
//! visibility     lists of jobs, short ids, scopes without a worker, narrow terminals
//! postgres       several hubs on one database, and one of them is killed
//! postgres_steps steps on a real server, from the settings to the result
//! terminal       what others wrote cannot control the terminal
//! overload       steps that use as much of a worker as they can get
//! wall           what sandboxes give up before they run steps
//! network        what steps can and cannot reach
//! environment    environment variables of steps, from the settings to the step
//! trust          settings of the working directory, before and after `bue trust`
//! packages       Python packages, from `!requires` to a worker
//! params         values as arguments, parameters of scripts
//! pipelines      published scripts: publish, invoke, unpublish
//! rerun          runs that repeat others, differences between runs, resets of cancelled runs
//! reliability    services that are killed, paused, stopped and disconnected
//! streaming      loops that run while their source yields
//! boundaries     which crate may use which
//! mistakes       what users do wrong: command, exit code and message
//! modules        no import cycles between the files of a crate
//! contributing   the recipes in CONTRIBUTING name every file
//! python_client  the Python client's own tests
//! documented_requests requests of docs/http-api.md are answered as they are printed
//! documented_scripts  scripts in README and docs run as they are printed
//! docs           commands, scripts, links and names in the documentation
//! ```
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a test that repeats something prints what it saw")]

mod admission;
mod bad_input;
mod boundaries;
mod bucket;
mod buelon;
mod check;
mod check_code;
mod cli;
mod compiled;
mod contributing;
mod dashboard;
mod docs;
mod documented_requests;
mod documented_scripts;
mod effective_settings;
mod environment;
mod examples;
mod failures;
mod files;
mod guest_modules;
mod import;
mod live_logs;
mod many_runs;
mod mistakes;
mod modules;
mod network;
mod overload;
mod packages;
mod params;
mod pipelines;
mod postgres;
mod postgres_steps;
mod project;
mod pty;
mod python_client;
mod reliability;
mod rerun;
mod results;
mod run;
mod schedules;
mod serve;
mod server_errors;
mod services;
mod soft_timeout;
mod step_bucket;
mod streaming;
mod streams;
mod telemetry;
mod terminal;
mod tls;
mod tokens;
mod top;
mod trust;
mod try_step;
mod verbs;
mod visibility;
mod wall;
mod worker_end;
