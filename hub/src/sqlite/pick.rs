//! Which ready jobs are next: by scope, priority and age, or turned around, with a share for the last ones.

use std::cmp::Reverse;
use std::collections::HashSet;

use bue_model::NodeId;
use bue_model::wire::LeaseRequest;
use rusqlite::{Row, params};

use super::ledger::{Ledger, Slot, signed};
use crate::error::HubError;
use crate::store::BACK_OF_QUEUE_INTERVAL;

/// A ready job: what orders it within its scope, and what a lease of it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    priority: i64,
    pub(super) slot: Slot,
    pub(super) run: i64,
    pub(super) token: i64,
    /// That failed.
    pub(super) attempts: u32,
    pub(super) env: Option<Vec<u8>>,
    /// Its row of `rate`, 0 where none.
    pub(super) rate: i64,
}

/// Columns of `job`, as [`Ready::read`] takes them, of ready rows.
macro_rules! ready {
    ($rest:literal) => {
        concat!(
            "SELECT priority, id, node, fanout, run, token, attempts, env, rate FROM job WHERE state = 2 AND ",
            $rest
        )
    };
}
pub(super) use ready;

impl Ready {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            priority: row.get(0)?,
            slot: Slot { id: row.get(1)?, node: NodeId(row.get(2)?), fanout: row.get(3)? },
            run: row.get(4)?,
            token: row.get(5)?,
            attempts: row.get(6)?,
            env: row.get(7)?,
            rate: row.get(8)?,
        })
    }
}

impl Ledger<'_> {
    /// The jobs to lease, in the order in which they shall run. Reads as many rows as it gives, whatever waits: each
    /// scope's ready jobs stand in an index in their order.
    pub(super) fn pick(&self, request: &LeaseRequest) -> Result<Vec<Ready>, HubError> {
        let count = request.count as usize;
        let mut picked = self.best(&request.scopes, request.reverse, count)?;
        let share = self.share_of_last(count);
        if picked.len() < count || share == 0 {
            return Ok(picked);
        }
        // where the last ones are among the best anyway, they keep their place there
        let best: HashSet<i64> = picked.iter().map(|job| job.slot.id).collect();
        let last = self.last(&request.scopes, request.reverse, share)?;
        let last: Vec<Ready> = last.into_iter().filter(|job| !best.contains(&job.slot.id)).collect();
        picked.truncate(count - last.len());
        picked.extend(last);
        Ok(picked)
    }

    /// How many of the next `count` leases go to the last ones.
    fn share_of_last(&self, count: usize) -> usize {
        let before = self.memory.granted % BACK_OF_QUEUE_INTERVAL;
        usize::try_from((before + count as u64) / BACK_OF_QUEUE_INTERVAL).unwrap_or(0)
    }

    fn best(&self, scopes: &[String], reverse: bool, count: usize) -> Result<Vec<Ready>, HubError> {
        let mut picked = Vec::new();
        for scope in in_order(scopes, reverse) {
            let room = count - picked.len();
            if room == 0 {
                break;
            }
            let mut ready = self.ready(scope, reverse, room)?;
            ready.extend(self.ready_under_rates(scope, reverse, room)?);
            if reverse {
                ready.sort_by_key(|job| (job.priority, Reverse(job.slot.id)));
            } else {
                ready.sort_by_key(|job| (Reverse(job.priority), job.slot.id));
            }
            picked.extend(ready.into_iter().take(room));
        }
        Ok(picked)
    }

    fn ready(&self, scope: &str, reverse: bool, limit: usize) -> Result<Vec<Ready>, HubError> {
        let sql = if reverse {
            ready!("rate = 0 AND scope = ?1 ORDER BY priority, id DESC LIMIT ?2")
        } else {
            ready!("rate = 0 AND scope = ?1 ORDER BY priority DESC, id LIMIT ?2")
        };
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map(params![scope, signed(limit as u64)], Ready::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The oldest jobs of the priority that is served last, in the scope that is served last.
    fn last(&self, scopes: &[String], reverse: bool, count: usize) -> Result<Vec<Ready>, HubError> {
        for scope in in_order(scopes, !reverse) {
            let Some(end) = self.ready(scope, !reverse, 1)?.pop() else { continue };
            let mut select =
                self.db.prepare_cached(ready!("rate = 0 AND scope = ?1 AND priority = ?2 ORDER BY id LIMIT ?3"))?;
            let rows = select.query_map(params![scope, end.priority, signed(count as u64)], Ready::read)?;
            return Ok(rows.collect::<Result<_, _>>()?);
        }
        Ok(Vec::new())
    }
}

fn in_order(scopes: &[String], reverse: bool) -> Box<dyn Iterator<Item = &String> + '_> {
    // a scope named twice is served once, where it is named first
    let once = scopes.iter().enumerate().filter(|(at, scope)| !scopes.iter().take(*at).any(|other| other == *scope));
    let once = once.map(|(_, scope)| scope);
    if reverse { Box::new(once.rev()) } else { Box::new(once) }
}
