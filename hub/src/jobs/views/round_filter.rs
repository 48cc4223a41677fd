//! [`RoundFilter`]: the ids of the jobs in one round of a loop, and of the loops inside it, while the loops are read. Pure.

use crate::error::HubError;
use crate::jobs::instance::{FanOut, IdRange, Run};

/// Loops inside a round that are read for one page.
pub(crate) const MAX_LOOPS: usize = 2_000;

/// Which ids are in a round.
pub(crate) struct RoundFilter<'a> {
    run: &'a Run,
    /// The round of the outermost loop, of the loop inside it, and so on, from 1.
    rounds: &'a [u64],
    /// Ids whose loops are needed next, and how many of the rounds lead there.
    frontier: Vec<(IdRange, usize)>,
    found: Vec<IdRange>,
    loops: usize,
}

impl<'a> RoundFilter<'a> {
    /// Begins at the top level of a run.
    pub(crate) fn new(run: &'a Run, rounds: &'a [u64]) -> Self {
        let mut filter = Self { run, rounds, frontier: Vec::new(), found: Vec::new(), loops: 0 };
        filter.reach(run.top_level_ids(), 0);
        filter
    }

    /// Returns the ranges of ids whose loops are needed next; none once all are known.
    pub(crate) fn needs(&self) -> Vec<IdRange> {
        self.frontier.iter().map(|(range, _)| *range).collect()
    }

    /// Adds the loops that were needed, in any order.
    ///
    /// # Errors
    /// [`HubError::BadRequest`] if there are too many.
    pub(crate) fn add(&mut self, fan_outs: &[FanOut]) -> Result<(), HubError> {
        self.loops += fan_outs.len();
        if self.loops > MAX_LOOPS {
            let text = self.rounds.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            return Err(HubError::BadRequest(format!(
                "round {text} has more than {MAX_LOOPS} loops inside it; name a round of one of them too, such as {text}.1"
            )));
        }
        let mut frontier = std::mem::take(&mut self.frontier);
        frontier.sort_unstable();
        for fan_out in fan_outs {
            let around = frontier.partition_point(|((first, _), _)| *first <= fan_out.id).checked_sub(1);
            let Some((_, depth)) = around.and_then(|at| frontier.get(at)) else { continue };
            self.enter(fan_out, *depth);
        }
        Ok(())
    }

    /// Returns the ids, in order.
    pub(crate) fn finish(mut self) -> Vec<IdRange> {
        self.found.sort_unstable();
        self.found
    }

    /// Goes on inside a loop. The `finally` block is no loop to users.
    fn enter(&mut self, fan_out: &FanOut, depth: usize) {
        let is_loop = self.run.graph.fan_out(fan_out.node).is_some_and(|node| node.over.is_some());
        match self.rounds.get(depth).filter(|_| is_loop) {
            None => self.reach(fan_out.expanded_ids(), depth),
            Some(round) => {
                let round = i64::try_from(*round).unwrap_or(i64::MAX) - 1;
                if (0..fan_out.expanded).contains(&round) {
                    self.reach((fan_out.round_start(round), fan_out.round_start(round + 1)), depth + 1);
                }
            }
        }
    }

    fn reach(&mut self, range: IdRange, depth: usize) {
        if depth == self.rounds.len() {
            self.found.push(range);
        }
        self.frontier.push((range, depth));
    }
}
