//! The verbs. Each is a file with one struct, whose doc comment is its help.

mod bucket;
mod bucket_delete;
mod bucket_get;
mod bucket_set;
mod cancel;
mod check;
mod completions;
mod delete;
mod demo;
mod deps;
mod errors;
mod example;
mod explain;
mod fmt;
mod hub;
mod hub_store;
mod logs;
mod new;
mod plan;
mod remote;
mod reset;
mod result;
mod run;
mod run_job;
mod sandbox_host;
mod serve;
mod status;
mod target;
pub(crate) mod token;
mod upload;
mod wait;
mod why;
mod worker;

use clap::{Parser, Subcommand};

use crate::stop::Stop;

/// Short scripts, many I/O-bound steps, every one in a fresh sandbox.
///
/// Exit codes: 0 done, 1 the program is wrong or a run failed, 2 wrong usage, 3 bue or its surroundings failed,
/// 130 interrupted. Data goes to stdout, talk to stderr.
#[derive(Debug, Parser)]
#[command(name = "bue", version, max_term_width = 100)]
pub(crate) struct Bue {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Demo(demo::Demo),
    Example(example::Example),
    Run(run::Run),
    Check(check::Check),
    Plan(plan::Plan),
    Fmt(fmt::Fmt),
    Explain(explain::Explain),
    Deps(deps::Deps),
    Hub(hub::Hub),
    Bucket(bucket::Bucket),
    Worker(worker::Worker),
    #[command(alias = "submit")]
    Upload(upload::Upload),
    Status(status::Status),
    Wait(wait::Wait),
    Result(result::Results),
    Errors(errors::Errors),
    Logs(logs::Logs),
    Why(why::Why),
    Cancel(cancel::Cancel),
    Reset(reset::Reset),
    Delete(delete::Delete),
    RunJob(run_job::RunJob),
    BucketGet(bucket_get::BucketGet),
    BucketSet(bucket_set::BucketSet),
    BucketDelete(bucket_delete::BucketDelete),
    Token(token::Token),
    New(new::New),
    Completions(completions::Completions),
    #[command(hide = true)]
    SandboxHost(sandbox_host::SandboxHost),
}

impl Bue {
    /// Does what the command line says.
    pub(crate) fn execute(self) -> Result<(), Stop> {
        match self.verb {
            Verb::Demo(verb) => verb.execute(),
            Verb::Example(verb) => verb.execute(),
            Verb::Run(verb) => verb.execute(),
            Verb::Check(verb) => verb.execute(),
            Verb::Plan(verb) => verb.execute(),
            Verb::Fmt(verb) => verb.execute(),
            Verb::Explain(verb) => verb.execute(),
            Verb::Deps(verb) => verb.execute(),
            Verb::Hub(verb) => verb.execute(),
            Verb::Bucket(verb) => verb.execute(),
            Verb::Worker(verb) => verb.execute(),
            Verb::Upload(verb) => verb.execute(),
            Verb::Status(verb) => verb.execute(),
            Verb::Wait(verb) => verb.execute(),
            Verb::Result(verb) => verb.execute(),
            Verb::Errors(verb) => verb.execute(),
            Verb::Logs(verb) => verb.execute(),
            Verb::Cancel(verb) => verb.execute(),
            Verb::Why(verb) => verb.execute(),
            Verb::Reset(verb) => verb.execute(),
            Verb::Delete(verb) => verb.execute(),
            Verb::RunJob(verb) => verb.execute(),
            Verb::BucketGet(verb) => verb.execute(),
            Verb::BucketSet(verb) => verb.execute(),
            Verb::BucketDelete(verb) => verb.execute(),
            Verb::Token(verb) => verb.execute(),
            Verb::New(verb) => verb.execute(),
            Verb::Completions(verb) => verb.execute(),
            Verb::SandboxHost(verb) => verb.execute(),
        }
    }
}
