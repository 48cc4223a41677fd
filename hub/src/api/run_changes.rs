//! [`RunChanges`]: the runs that change, in batches for the clients of `/v1/events`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bue_model::RunId;
use bytes::Bytes;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, Sender};

/// Runs that a batch names. If more have changed, clients learn that any run may have: they would not read hundreds of runs.
const MAX_NAMED: usize = 100;
/// Batches that a client may fall behind before it misses some.
const BACKLOG: usize = 16;
/// What clients get that have missed changes.
pub(super) const LAGGED: Bytes = Bytes::from_static(b"event: lagged\ndata: {}\n\n");

/// Sends batches to all clients that listen. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct RunChanges(Sender<Batch>);

/// The runs that changed in a moment.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// `None` if some were missed: any run may have changed.
    runs: Option<Arc<BTreeSet<RunId>>>,
    /// Them as events.
    text: Bytes,
}

impl Default for RunChanges {
    fn default() -> Self {
        Self(Sender::new(BACKLOG))
    }
}

impl RunChanges {
    /// Receives the batches from now on.
    pub(super) fn subscribe(&self) -> Receiver<Batch> {
        self.0.subscribe()
    }

    pub(super) fn send(&self, batch: Batch) {
        // an error means that nobody listens
        let _ = self.0.send(batch);
    }
}

impl Batch {
    /// Waits for a change and returns it with all others that are there. `None` if there will be no more.
    pub(super) async fn next(changes: &mut Receiver<RunId>) -> Option<Self> {
        let mut runs = match changes.recv().await {
            Ok(run) => Some(BTreeSet::from([run])),
            Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => return None,
        };
        loop {
            match changes.try_recv() {
                Ok(run) => runs.iter_mut().for_each(|runs| runs.extend([run])),
                Err(TryRecvError::Lagged(_)) => runs = None,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(Self::new(runs)),
            }
        }
    }

    fn new(runs: Option<BTreeSet<RunId>>) -> Self {
        let text = match &runs {
            Some(runs) if runs.len() <= MAX_NAMED => runs.iter().copied().map(event).collect::<String>().into(),
            _ => LAGGED,
        };
        Self { runs: runs.map(Arc::new), text }
    }

    /// What is sent to a client that wants the changes of all runs, or of one. `None` if that has not changed.
    pub(super) fn text_for(&self, run: Option<RunId>) -> Option<Bytes> {
        match (run, &self.runs) {
            (Some(run), Some(runs)) => runs.contains(&run).then(|| event(run).into()),
            _ => Some(self.text.clone()),
        }
    }
}

fn event(run: RunId) -> String {
    format!("event: run\ndata: {{\"run\":\"{run}\"}}\n\n")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn run(number: usize) -> RunId {
        RunId(Uuid::from_u128(number as u128))
    }

    fn text(number: usize) -> Option<Bytes> {
        Some(event(run(number)).into())
    }

    #[tokio::test]
    async fn changes_of_a_moment_are_one_batch_and_each_run_is_in_it_once() {
        let sender = Sender::new(1_000);
        let mut changes = sender.subscribe();
        for number in [2, 1, 2] {
            sender.send(run(number)).expect("a receiver");
        }
        let batch = Batch::next(&mut changes).await.expect("a batch");
        assert_eq!(batch.text_for(None), Some(format!("{}{}", event(run(1)), event(run(2))).into()));
        assert_eq!((batch.text_for(Some(run(2))), batch.text_for(Some(run(3)))), (text(2), None));
    }

    #[tokio::test]
    async fn of_many_changes_a_client_learns_that_there_were_some() {
        let sender = Sender::new(512);
        let mut changes = sender.subscribe();
        (0..=MAX_NAMED).for_each(|number| drop(sender.send(run(number))));
        let batch = Batch::next(&mut changes).await.expect("a batch");
        assert_eq!((batch.text_for(None), batch.text_for(Some(run(7)))), (Some(LAGGED), text(7)));
        assert_eq!(batch.text_for(Some(run(1_000))), None);
        // more than the channel keeps: any run may have changed
        (0..600).for_each(|number| drop(sender.send(run(number))));
        let batch = Batch::next(&mut changes).await.expect("a batch");
        assert_eq!((batch.text_for(None), batch.text_for(Some(run(1_000)))), (Some(LAGGED), Some(LAGGED)));
        drop(sender);
        assert!(Batch::next(&mut changes).await.is_none());
    }
}
