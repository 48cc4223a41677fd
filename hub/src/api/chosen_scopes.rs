//! Scopes that steps choose with `Result(scope=…)`. One that no step of the script has and that no worker serves is most likely a
//! misspelling, and the job would wait for ever; so the attempt fails and says which scopes there are.
//!
//! The store knows the script and this hub the workers. What is asked of the store never changes, so it need not be in the
//! transaction of the report.

use std::collections::{BTreeSet, HashMap};

use bue_model::job::Hints;
use bue_model::wire::ReportBatch;
use bue_model::{Failure, FailureKind, Outcome};

use crate::api::hub::Hub;
use crate::error::HubError;

/// Scopes that a message names.
const MAX_NAMED: usize = 20;

/// Replaces the outcomes that choose a scope that is unknown.
pub(super) async fn refuse_unknown(hub: &Hub, batch: &mut ReportBatch) -> Result<(), HubError> {
    if hub.has_one_worker {
        batch.reports.iter_mut().for_each(|report| forget_scope(&mut report.outcome));
        return Ok(());
    }
    // a hub that has just started has not heard of all workers yet
    if !hub.workers.are_known() {
        return Ok(());
    }
    let mut served = HashMap::new();
    for report in &mut batch.reports {
        let Some(scope) = chosen_scope(&report.outcome) else { continue };
        if *served.entry(scope.to_owned()).or_insert_with(|| hub.workers.is_served(scope)) {
            continue;
        }
        let script = hub.store.script_scopes(report.job).await?.unwrap_or_default();
        if !script.contains(scope) {
            report.outcome = Outcome::Failed(unknown_scope(scope, script, hub.workers.scopes()));
        }
    }
    Ok(())
}

fn chosen_scope(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Completed { hints, .. } => hints.scope.as_deref(),
        Outcome::Pending { scope, .. } => scope.as_deref(),
        _ => None,
    }
}

fn forget_scope(outcome: &mut Outcome) {
    if let Outcome::Completed { hints: Hints { scope, .. }, .. } | Outcome::Pending { scope, .. } = outcome {
        *scope = None;
    }
}

fn unknown_scope(scope: &str, script: BTreeSet<String>, served: BTreeSet<String>) -> Failure {
    let mut known: BTreeSet<String> = script;
    known.extend(served);
    let named: Vec<String> = known.into_iter().take(MAX_NAMED).map(|scope| format!("`{scope}`")).collect();
    let message = format!(
        "the step chose the scope {scope:?}, but no step of the script has it and no worker has served it in the last minute; \
         there are {}",
        named.join(", ")
    );
    Failure::new(FailureKind::BadResult, message)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use bue_model::attempt::AttemptUsage;
    use bue_model::plan::{PLAN_VERSION, Settings, Source};
    use bue_model::wire::{LeaseRequest, Report, Submission};
    use bue_model::{
        BlobHash, BlobRef, Call, CallIndex, JobId, JobNode, Language, Node, NodeId, Plan, RunId, Step, StepIndex,
        Timestamp, Token, ValueRef,
    };
    use uuid::Uuid;

    use super::*;
    use crate::store::JobStore;
    use crate::{Durability, SqliteStore};

    fn submission() -> Submission {
        let settings = Settings { scope: "reports".into(), ..Settings::default() };
        let (function, source) = ("f".into(), Source::File("x.py".into()));
        let step = Step { name: "f".into(), language: Language::Python, function, source, line: 1, settings };
        let job = JobNode { id: NodeId(0), step: StepIndex(0), call: CallIndex(0), inputs: Vec::new() };
        let call = Call { line: 1, name: None, first: NodeId(0), last: NodeId(0), nested: false };
        let (steps, nodes, calls) = (vec![step], vec![Node::Job(job)], vec![call]);
        let plan = Plan { version: PLAN_VERSION, steps, nodes, calls, params: Vec::new() };
        let code = vec![BlobRef { hash: BlobHash([7; 32]), len: 1 }];
        Submission { run: RunId(Uuid::from_u128(1)), name: "test.bue".into(), plan, code }
    }

    /// Returns the first job's outcomes that choose a scope, after they were checked.
    async fn checked(hub: &Hub, scope: &str) -> [Outcome; 2] {
        let hints = Hints { scope: Some(scope.into()), ..Hints::default() };
        let completed = Outcome::Completed { value: ValueRef::Inline(vec![0xf6].into()), hints };
        let pending = Outcome::Pending { delay_ms: None, scope: Some(scope.into()) };
        let report = |outcome| Report {
            job: JobId(1),
            token: Token::unsealed(1),
            outcome,
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::of_ms(1),
        };
        let mut batch = ReportBatch { worker: "w".into(), reports: vec![report(completed), report(pending)] };
        refuse_unknown(hub, &mut batch).await.expect("a check");
        let mut outcomes = batch.reports.into_iter().map(|report| report.outcome);
        [(); 2].map(|()| outcomes.next().expect("an outcome"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_scope_is_known_by_the_script_or_a_worker() {
        let store = SqliteStore::open(Path::new(":memory:"), Durability::Off).expect("a store");
        store.submit(Timestamp(1), submission()).await.expect("a run");
        let hub = Hub::new(Arc::new(store));
        let is_refused = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
        assert!(!checked(&hub, "gpuu").await.iter().any(is_refused), "the workers are not known yet");
        tokio::time::advance(Duration::from_secs(61)).await;
        let scopes = vec!["gpu".to_owned()];
        let request = LeaseRequest { worker: "w".into(), scopes, ..LeaseRequest::default() };
        hub.workers.record_request(&request, Timestamp(1));
        for scope in ["gpu", "reports"] {
            assert!(!checked(&hub, scope).await.iter().any(is_refused), "{scope}");
        }
        for outcome in checked(&hub, "gpuu").await {
            let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
            assert!(failure.message.ends_with("there are `gpu`, `reports`"), "{failure}");
        }
        tokio::time::advance(Duration::from_secs(61)).await;
        assert!(checked(&hub, "gpu").await.iter().all(is_refused), "no worker has served it for a minute");
        for outcome in checked(&hub.with_one_worker(), "gpu").await {
            assert_eq!(chosen_scope(&outcome), None, "{outcome:?}");
            assert!(!is_refused(&outcome));
        }
    }
}
