//! [`Places`]: where jobs stand that this hub gave away, so that their reports need not look for them. All of it can be
//! lost at any moment.

use std::collections::{BTreeSet, HashMap};

use super::Inner;
use super::read::slot;
use super::verbs::FIRST_GULP;
use crate::error::HubError;
use crate::jobs::draft::Needs;
use crate::jobs::instance::{Run, Slot, instance_of};

/// Jobs that are remembered, some 60 bytes each.
const MAX_PLACES: usize = 200_000;

/// Slots and runs of jobs, which never change.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<i64, (Slot, i64)>);

impl Places {
    /// A job is in somebody's hands.
    pub(super) fn keep(&mut self, slot: Slot, run: i64) {
        if self.0.len() >= MAX_PLACES {
            self.0.clear();
        }
        self.0.insert(slot.id, (slot, run));
    }

    /// Where a job stands, and the key of its run.
    pub(super) fn get(&self, id: i64) -> Option<(Slot, i64)> {
        self.0.get(&id).copied()
    }

    /// Its report came.
    pub(super) fn forget(&mut self, id: i64) {
        self.0.remove(&id);
    }
}

impl Inner {
    /// The runs of jobs, each once, and what a change of these jobs is sure to look at: their instances, and the fan-outs
    /// around them. None of it ever changes, so it is looked for before anything is locked.
    pub(super) async fn places_of(&self, jobs: &[i64]) -> Result<(Vec<i64>, Needs), HubError> {
        let (mut places, mut unknown) = (Vec::with_capacity(jobs.len()), Vec::new());
        {
            let kept = self.places();
            for id in jobs {
                match kept.get(*id) {
                    Some(place) => places.push(place),
                    None => unknown.push(*id),
                }
            }
        }
        if !unknown.is_empty() {
            places.extend(self.find_places(&unknown).await?);
        }
        let (mut runs, mut needs) = (BTreeSet::new(), Needs::default());
        for (slot, key) in places {
            runs.insert(key);
            if slot.fanout != 0 {
                needs.fan_outs.insert(slot.fanout);
            }
            match self.runs().get(key).and_then(|run| stretch_around(&run, slot)) {
                Some(stretch) if stretch.1 - stretch.0 <= FIRST_GULP => drop(needs.stretches.insert(stretch)),
                Some(stretch) => {
                    needs.jobs.insert(slot.id);
                    needs.open.insert(stretch);
                }
                None => drop(needs.jobs.insert(slot.id)),
            }
        }
        Ok((runs.into_iter().collect(), needs))
    }

    async fn find_places(&self, jobs: &[i64]) -> Result<Vec<(Slot, i64)>, HubError> {
        let client = self.client().await?;
        let sql = "SELECT id, run, node, fanout FROM job WHERE id = ANY($1)
             UNION ALL SELECT id, run, node, fanout FROM done WHERE id = ANY($1)";
        let rows = client.query(&client.prepare_cached(sql).await?, &[&jobs]).await?;
        rows.iter().map(|row| Ok((slot(row)?, row.try_get(1)?))).collect()
    }
}

/// The ids of the instance that a row is part of.
fn stretch_around(run: &Run, slot: Slot) -> Option<(i64, i64)> {
    let instance = instance_of(run, slot).ok()?;
    Some((instance.first, instance.first + run.graph.blocks.get(instance.block)?.stride()))
}
