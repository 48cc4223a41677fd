//! Reading what a [`Draft`](crate::jobs::draft::Draft) needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use bue_model::{NodeId, RateKey, StepIndex};
use rusqlite::{OptionalExtension, Row, params};

use super::ledger::{Ledger, Slot, instance_of};
use crate::error::HubError;
use crate::jobs::draft::{DoneRow, JobRow, Known, Needs, Stretch, joined};
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::Run;

/// Columns of `job`, as [`Texts::job_row`] takes them.
macro_rules! job {
    ($rest:literal) => {
        concat!(
            "SELECT id, node, fanout, run, state, waiting_for, scope, priority, rate, hinted, env, env_from, available_at,
                 lease_end, token, reported, worker, attempts, pendings, pending_since, releases, resets, blocked_by
             FROM job ",
            $rest
        )
    };
}

/// Ids between two wanted rows that are read along: cheaper than to look for the second one.
const NEAR: i64 = 8;
/// Ids of an instance that is read as a whole.
const SMALL: i64 = 64;

/// The texts of the row before, which hardly ever differ in the next one.
#[derive(Default)]
struct Texts {
    scope: Option<Arc<str>>,
    worker: Option<Arc<str>>,
}

/// The same text once more, or a new one.
fn shared(last: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(last) = last.as_ref().filter(|last| ***last == *text) {
        return last.clone();
    }
    last.insert(Arc::from(text)).clone()
}

impl Texts {
    fn job_row(&mut self, row: &Row<'_>) -> rusqlite::Result<JobRow> {
        Ok(JobRow {
            slot: Slot { id: row.get(0)?, node: NodeId(row.get(1)?), fanout: row.get(2)? },
            run: row.get(3)?,
            state: row.get(4)?,
            waiting_for: row.get(5)?,
            scope: shared(&mut self.scope, row.get_ref(6)?.as_str()?),
            priority: row.get(7)?,
            rate: row.get(8)?,
            hinted: row.get::<_, Option<u32>>(9)?.map(NodeId),
            env: row.get(10)?,
            env_from: row.get::<_, Option<u32>>(11)?.map(NodeId),
            available_at: row.get(12)?,
            lease_end: row.get(13)?,
            token: row.get(14)?,
            reported: row.get(15)?,
            worker: row.get_ref(16)?.as_str_or_null()?.map(|text| shared(&mut self.worker, text)),
            attempts: row.get(17)?,
            pendings: row.get(18)?,
            pending_since: row.get(19)?,
            releases: row.get(20)?,
            resets: row.get(21)?,
            blocked_by: row.get(22)?,
            failure: None,
            log: None,
        })
    }
}

impl Ledger<'_> {
    /// Reads what is needed, and `gulp` rows behind each job, since dependants stand behind what they wait for.
    pub(super) fn read(&mut self, known: &mut Known, needs: Needs, gulp: i64) -> Result<(), HubError> {
        let gulps = needs.jobs.iter().map(|id| (*id, id.saturating_add(gulp)));
        self.read_jobs(known, joined(gulps.chain(needs.stretches.iter().copied()), NEAR))?;
        self.read_done(known, &needs.done)?;
        self.read_fan_outs(known, &needs.fan_outs)?;
        self.read_open(known, &needs.open)?;
        self.read_dead(known, &needs.dead)?;
        for (id, node) in needs.alive {
            self.read_alive(known, id, node)?;
        }
        for source in needs.elements {
            known.elements.insert(source, self.elements(source)?);
        }
        for wanted in needs.keyed_rates {
            self.read_keyed_rate(known, wanted)?;
        }
        for count in needs.ids {
            known.ids.push((self.take_ids(count)?, count));
        }
        Ok(())
    }

    /// What a change that begins with these jobs is sure to look at: their rows, those of their instances, and the fan-outs
    /// around them.
    pub(super) fn read_around(&mut self, known: &mut Known, ids: &[i64]) -> Result<(), HubError> {
        self.read_jobs(known, joined(ids.iter().map(|id| (*id, id.saturating_add(1))), NEAR))?;
        let (mut stretches, mut needs) = (Vec::new(), Needs::default());
        for id in ids {
            let Some(row) = known.jobs.get(id) else {
                needs.done.insert(*id);
                continue;
            };
            let run = known.runs.get(&row.run).ok_or_else(|| HubError::damaged("a job without its run"))?;
            if row.slot.fanout != 0 {
                needs.fan_outs.insert(row.slot.fanout);
            }
            match stretch_around(run, row.slot)? {
                stretch if stretch.1 - stretch.0 <= SMALL => {
                    if !known.knows_all(stretch) {
                        stretches.push(stretch);
                    }
                }
                stretch => drop(needs.open.insert(stretch)),
            }
        }
        self.read_jobs(known, joined(stretches.into_iter(), NEAR))?;
        self.read(known, needs, 1)
    }

    /// What never changes of a run, and how it stands.
    pub(super) fn learn_run(&mut self, known: &mut Known, key: i64) -> Result<(), HubError> {
        if known.runs.contains_key(&key) {
            return Ok(());
        }
        let run = self.run(key)?;
        known.run_states.insert(key, self.run_state(key)?);
        if run.graph.steps.iter().any(|step| step.settings.rate.is_some()) {
            let mut select = self.db.prepare_cached("SELECT step, id FROM rate WHERE run = ?1 AND key = x''")?;
            for rate in select.query_map([key], |row| Ok((row.get(0)?, row.get(1)?)))? {
                let (step, id) = rate?;
                known.rates.insert((key, step), id);
            }
        }
        known.runs.insert(key, run);
        Ok(())
    }

    fn read_jobs(&mut self, known: &mut Known, stretches: Vec<Stretch>) -> Result<(), HubError> {
        let mut texts = Texts::default();
        let db = self.db;
        let mut select = db.prepare_cached(job!("WHERE id >= ?1 AND id < ?2"))?;
        for (first, end) in stretches {
            let mut rows = select.query([first, end])?;
            while let Some(row) = rows.next()? {
                let row = texts.job_row(row)?;
                self.learn_run(known, row.run)?;
                known.jobs.insert(row.slot.id, row);
            }
            known.looked_at_jobs((first, end));
        }
        Ok(())
    }

    fn read_done(&mut self, known: &mut Known, ids: &BTreeSet<i64>) -> Result<(), HubError> {
        let db = self.db;
        let mut select = db.prepare_cached(
            "SELECT id, node, fanout, run, state, token, worker, attempts, resets, hint, env FROM done WHERE id = ?1",
        )?;
        for id in ids {
            if let Some(row) = select.query_row([id], done_row).optional()? {
                self.learn_run(known, row.run)?;
                known.done.insert(*id, row);
            }
            known.looked_at_done.insert(*id);
        }
        Ok(())
    }

    fn read_fan_outs(&mut self, known: &mut Known, ids: &BTreeSet<i64>) -> Result<(), HubError> {
        for id in ids {
            if let Some(fan_out) = self.fan_out(*id)? {
                self.learn_run(known, fan_out.run)?;
                known.fan_outs.insert(*id, fan_out);
            }
            known.looked_at_fan_outs.insert(*id);
        }
        Ok(())
    }

    /// The first open row of each stretch that is not known yet.
    fn read_open(&self, known: &mut Known, stretches: &BTreeSet<Stretch>) -> Result<(), HubError> {
        let mut select = self.db.prepare_cached(job!("WHERE id >= ?1 AND id < ?2 AND state < 5 ORDER BY id"))?;
        for stretch in stretches {
            let mut rows = select.query([stretch.0, stretch.1])?;
            let found = next_unknown(&mut rows, known)?;
            match found {
                Some(row) => drop(known.jobs.insert(row.slot.id, row)),
                None => drop(known.no_more_open.insert(*stretch)),
            }
        }
        Ok(())
    }

    /// The first failed or stuck row of each stretch that was not known before.
    fn read_dead(&self, known: &mut Known, stretches: &BTreeSet<Stretch>) -> Result<(), HubError> {
        let mut select = self.db.prepare_cached(job!("WHERE id >= ?1 AND id < ?2 AND state >= 5 ORDER BY id"))?;
        for stretch in stretches {
            let mut rows = select.query([stretch.0, stretch.1])?;
            let found = next_unknown(&mut rows, known)?;
            known.first_dead.insert(*stretch, found.as_ref().map(|row| row.slot.id));
            known.jobs.extend(found.map(|row| (row.slot.id, row)));
        }
        Ok(())
    }

    /// The rows of a node in all rounds of a fan-out, as far as they may wait for something. A scan of the fan-out's own
    /// rows: the rounds alive at one time are few.
    fn read_alive(&self, known: &mut Known, id: i64, node: u32) -> Result<(), HubError> {
        let Some(fan_out) = known.fan_outs.get(&id) else { return Ok(()) };
        let mut select =
            self.db.prepare_cached(job!("WHERE id >= ?1 AND id < ?2 AND node = ?3 AND state <> 5 ORDER BY id"))?;
        let mut rows = select.query(params![fan_out.first, fan_out.round(fan_out.expanded), node])?;
        let mut texts = Texts::default();
        while let Some(row) = rows.next()? {
            let row = texts.job_row(row)?;
            known.jobs.insert(row.slot.id, row);
        }
        known.alive.insert((id, node));
        Ok(())
    }

    fn elements(&self, source: i64) -> Result<i64, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT first + count FROM chunk WHERE source = ?1 ORDER BY first DESC LIMIT 1")?;
        Ok(select.query_row([source], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    fn read_keyed_rate(
        &mut self,
        known: &mut Known,
        (run, step, key): (i64, StepIndex, RateKey),
    ) -> Result<(), HubError> {
        let graph = &self.run(run)?.graph;
        let settings = graph.steps.get(step.get()).map(|step| &step.settings);
        let settings = settings.ok_or_else(|| HubError::damaged("a rate of no step"))?;
        let rate = self.rate_of_key(run, step, settings, key)?;
        known.keyed_rates.insert((run, step, key), rate);
        Ok(())
    }
}

/// The first of these rows that is not known.
fn next_unknown(rows: &mut rusqlite::Rows<'_>, known: &Known) -> Result<Option<JobRow>, HubError> {
    while let Some(row) = rows.next()? {
        if !known.jobs.contains_key(&row.get(0)?) {
            return Ok(Some(Texts::default().job_row(row)?));
        }
    }
    Ok(None)
}

/// The ids of the instance that a row is part of.
fn stretch_around(run: &Run, slot: Slot) -> Result<Stretch, HubError> {
    let instance = instance_of(run, slot)?;
    let stride = run.graph.blocks.get(instance.block).map_or(0, crate::jobs::graph::Block::stride);
    Ok((instance.first, instance.first + stride))
}

fn done_row(row: &Row<'_>) -> rusqlite::Result<DoneRow> {
    Ok(DoneRow {
        slot: Slot { id: row.get(0)?, node: NodeId(row.get(1)?), fanout: row.get(2)? },
        run: row.get(3)?,
        state: row.get(4)?,
        token: row.get(5)?,
        worker: row.get_ref(6)?.as_str_or_null()?.map(Arc::from),
        attempts: row.get(7)?,
        resets: row.get(8)?,
        hint: Hint { priority: row.get(9)?, env: row.get(10)? },
        value: None,
        log: None,
    })
}
