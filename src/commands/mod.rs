//! The verbs of the command. Each is a file, or a folder with its data, and a struct whose doc comment is its help text.
//!
//! May use everything else in this crate. What two verbs share is elsewhere: `flags`, `runs`, `local`, `server`.

mod bucket;
mod bucket_delete;
mod bucket_get;
mod bucket_list;
mod bucket_set;
mod cancel;
mod check;
mod completions;
mod config;
mod delete;
mod demo;
mod deps;
mod diff;
mod errors;
mod example;
mod explain;
mod fmt;
mod hub;
mod import;
mod invoke;
mod logs;
mod man;
mod new;
mod pipeline;
mod pipelines;
mod plan;
mod publish;
mod rerun;
mod reset;
mod results;
mod run;
mod run_job;
mod sandbox_host;
mod schedule;
mod serve;
mod status;
mod token;
mod top;
mod trust;
mod try_step;
mod unpublish;
mod upload;
mod wait;
mod web;
mod why;
mod worker;

use clap::{CommandFactory, Parser, Subcommand};

use crate::process::command_error::CommandError;

/// Short scripts, many I/O-bound steps, every one in a fresh sandbox.
///
/// Exit codes: 0 success, 1 the program is wrong or a run failed, 2 wrong usage, 3 bue or its environment failed, 130
/// interrupted. Data goes to stdout, messages go to stderr.
#[derive(Debug, Parser)]
#[command(name = "bue", version, disable_version_flag = true, max_term_width = 100)]
pub(crate) struct Bue {
    /// Print the version
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    verb: Verb,
}

impl Bue {
    /// Executes the verb of the command line.
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        self.verb.execute()
    }
}

/// Defines `Verb` and its `execute`, from the module and struct of each verb and the arguments of the struct's `execute`.
macro_rules! verbs {
    ($($(#[$attribute:meta])* $module:ident::$Verb:ident($($argument:expr)?);)*) => {
        #[derive(Debug, Subcommand)]
        enum Verb {
            $($(#[$attribute])* $Verb($module::$Verb),)*
        }

        impl Verb {
            fn execute(self) -> Result<(), CommandError> {
                match self {
                    $(Self::$Verb(verb) => verb.execute($($argument)?),)*
                }
            }
        }
    };
}

verbs! {
    demo::Demo();
    example::Example();
    run::Run();
    try_step::Try();
    check::Check();
    plan::Plan();
    fmt::Fmt();
    explain::Explain();
    deps::Deps();
    serve::Serve();
    hub::Hub();
    bucket::Bucket();
    worker::Worker();
    #[command(alias = "submit")]
    upload::Upload();
    publish::Publish();
    pipelines::Pipelines();
    pipeline::Pipeline();
    unpublish::Unpublish();
    invoke::Invoke();
    schedule::Schedule();
    web::Web();
    status::Status();
    top::Top();
    wait::Wait();
    #[command(name = "result")]
    results::Results();
    errors::Errors();
    logs::Logs();
    why::Why();
    cancel::Cancel();
    reset::Reset();
    rerun::Rerun();
    diff::Diff();
    delete::Delete();
    run_job::RunJob();
    bucket_list::BucketList();
    bucket_get::BucketGet();
    bucket_set::BucketSet();
    bucket_delete::BucketDelete();
    token::Token();
    trust::Trust();
    #[command(alias = "where")]
    config::Config();
    new::New();
    import::Import();
    completions::Completions(Bue::command());
    man::Man(Bue::command());
    #[command(hide = true)]
    sandbox_host::SandboxHost();
}
