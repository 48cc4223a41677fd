//! `bue run FILE`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;
use bue_model::{Input, Node, NodeId, Plan};
use clap::Args;

use crate::allow::{AllowFlags, explain_denials};
use crate::commands::result::expect_success;
use crate::failures::say_failures;
use crate::local::{Ended, Surroundings, run_here};
use crate::reactor::block_on;
use crate::results::ResultWriter;
use crate::script::{self, Checked};
use crate::settings::Settings;
use crate::stop::Stop;

/// Runs a script here and now: hub, bucket and worker inside this process.
///
/// Prints one line of JSON for each call whose result nothing else in the script takes; with --json one object with
/// all results and the failed jobs. Nothing is left behind, unless --data says where to keep it.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The script
    #[arg(required_unless_present = "allow_net")]
    file: Option<PathBuf>,
    /// Print one JSON object: run, state, results, failed
    #[arg(long)]
    json: bool,
    /// Keep the state of hub and bucket in this folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    allow: AllowFlags,
    /// At the end, say which rules would allow what was refused
    #[arg(long)]
    explain_deny: bool,
}

impl Run {
    pub(crate) fn execute(mut self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let script = script::read(&self.file()?, &settings)?;
        let network = self.allow.network(&settings)?;
        let refusals = network.config.refusals.clone();
        let surroundings = Surroundings { cache: settings.cache_dir()?, data: self.data.clone(), network };
        let ended = self.run(&script, surroundings);
        if self.explain_deny {
            explain_denials(&refusals);
        }
        ended
    }

    /// The script. In `bue run --allow-net FILE` the parser takes it for a host.
    fn file(&mut self) -> Result<PathBuf, Stop> {
        let file = self.file.take().or_else(|| self.allow.take_last().map(PathBuf::from));
        file.ok_or_else(|| Stop::Usage("the script is missing; type `bue run FILE --allow-net`".to_owned()))
    }

    fn run(&self, script: &Checked, surroundings: Surroundings) -> Result<(), Stop> {
        block_on(async {
            let ended = run_here(script, surroundings).await?;
            let printed = self.print(&script.plan, &ended).await;
            ended.services.stop().await;
            printed?;
            expect_success(ended.view.state)
        })
    }

    async fn print(&self, plan: &Plan, ended: &Ended) -> Result<(), Stop> {
        let Ended { services, run, view } = ended;
        let page = services.hub.result_page(*run, Default::default()).await.context("failed to read the results")?;
        say_failures(&services.bucket, &page.failed, view).await;
        let writer = ResultWriter::new(&services.hub, &services.bucket, *run);
        if self.json {
            return writer.object(page).await;
        }
        let last = last_calls(plan);
        writer.lines(page, |call| last.contains(&call)).await
    }
}

/// Positions, among the call statements, of those whose result nothing else takes.
fn last_calls(plan: &Plan) -> BTreeSet<usize> {
    let mut taken = BTreeSet::new();
    collect_taken(&plan.nodes, &mut taken);
    let statements = plan.calls.iter().filter(|call| !call.nested);
    statements.enumerate().filter(|(_, call)| !taken.contains(&call.last)).map(|(position, _)| position).collect()
}

/// The jobs whose results are somebody's argument or a loop's source.
fn collect_taken(nodes: &[Node], taken: &mut BTreeSet<NodeId>) {
    for node in nodes {
        match node {
            Node::Job(job) => taken.extend(job.inputs.iter().filter_map(|input| match input {
                Input::Node(node) => Some(*node),
                Input::Loop(_) | Input::Gather(_) => None,
            })),
            Node::ForEach(each) => {
                taken.insert(each.over);
                taken.extend(each.gather);
                collect_taken(&each.body, taken);
            }
        }
    }
}
