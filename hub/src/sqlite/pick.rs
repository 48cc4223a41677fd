//! Which ready jobs are next: by scope, priority and age, or turned around, with a share for the last ones.

use std::cmp::Reverse;

use bue_model::wire::LeaseRequest;
use rusqlite::params;

use super::ledger::{Ledger, signed};
use crate::error::HubError;
use crate::store::SHARE_OF_LAST;

/// A ready job, and what orders it within its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ready {
    priority: i64,
    id: i64,
}

impl Ledger<'_> {
    /// Ids of the jobs to lease, in the order in which they shall run. Reads as many rows as it gives, whatever waits: each
    /// scope's ready jobs stand in an index in their order.
    pub(super) fn pick(&self, request: &LeaseRequest) -> Result<Vec<i64>, HubError> {
        let count = request.count as usize;
        let mut picked = self.best(&request.scopes, request.reverse, count)?;
        let share = self.share_of_last(count);
        if picked.len() < count || share == 0 {
            return Ok(picked);
        }
        // where the last ones are among the best anyway, they keep their place there
        let last = self.last(&request.scopes, request.reverse, share)?;
        let last: Vec<i64> = last.into_iter().filter(|id| !picked.contains(id)).collect();
        picked.truncate(count - last.len());
        picked.extend(last);
        Ok(picked)
    }

    /// How many of the next `count` leases go to the last ones.
    fn share_of_last(&self, count: usize) -> usize {
        let before = self.memory.granted % SHARE_OF_LAST;
        usize::try_from((before + count as u64) / SHARE_OF_LAST).unwrap_or(0)
    }

    fn best(&self, scopes: &[String], reverse: bool, count: usize) -> Result<Vec<i64>, HubError> {
        let mut picked = Vec::new();
        for scope in in_order(scopes, reverse) {
            let room = count - picked.len();
            if room == 0 {
                break;
            }
            let mut ready = self.ready(scope, reverse, room)?;
            ready.extend(self.ready_under_rates(scope, reverse, room)?.into_iter().map(ready_row));
            if reverse {
                ready.sort_by_key(|job| (job.priority, Reverse(job.id)));
            } else {
                ready.sort_by_key(|job| (Reverse(job.priority), job.id));
            }
            picked.extend(ready.into_iter().take(room).map(|job| job.id));
        }
        Ok(picked)
    }

    fn ready(&self, scope: &str, reverse: bool, limit: usize) -> Result<Vec<Ready>, HubError> {
        let sql = if reverse {
            "SELECT priority, id FROM job WHERE state = 2 AND rate = 0 AND scope = ?1 ORDER BY priority, id DESC LIMIT ?2"
        } else {
            "SELECT priority, id FROM job WHERE state = 2 AND rate = 0 AND scope = ?1 ORDER BY priority DESC, id LIMIT ?2"
        };
        let mut select = self.db.prepare_cached(sql)?;
        let rows =
            select.query_map(params![scope, signed(limit as u64)], |row| Ok(ready_row((row.get(0)?, row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The oldest jobs of the priority that is served last, in the scope that is served last.
    fn last(&self, scopes: &[String], reverse: bool, count: usize) -> Result<Vec<i64>, HubError> {
        for scope in in_order(scopes, !reverse) {
            let Some(end) = self.ready(scope, !reverse, 1)?.first().copied() else { continue };
            let mut select = self.db.prepare_cached(
                "SELECT id FROM job WHERE state = 2 AND rate = 0 AND scope = ?1 AND priority = ?2 ORDER BY id LIMIT ?3",
            )?;
            let rows = select.query_map(params![scope, end.priority, signed(count as u64)], |row| row.get(0))?;
            return Ok(rows.collect::<Result<_, _>>()?);
        }
        Ok(Vec::new())
    }
}

fn ready_row((priority, id): (i64, i64)) -> Ready {
    Ready { priority, id }
}

fn in_order(scopes: &[String], reverse: bool) -> Box<dyn Iterator<Item = &String> + '_> {
    // a scope named twice is served once, where it is named first
    let once = scopes.iter().enumerate().filter(|(at, scope)| !scopes.iter().take(*at).any(|other| other == *scope));
    let once = once.map(|(_, scope)| scope);
    if reverse { Box::new(once.rev()) } else { Box::new(once) }
}
