//! Workers report.

use std::ops::Range;

use bue_model::attempt::AttemptUsage;
use bue_model::job::Hints;
use bue_model::wire::{ListPiece, PieceVerdict, Report, ReportBatch, Verdict};
use bue_model::{Chunk, Outcome, ValueRef};

use super::{Holding, ModelTest, nth};
use crate::random::events::Answer;
use crate::random::model::{Key, ModelValue, PIECE};
use crate::world::{LeasedJob, PENDING, RESET, completed, failed, value};

impl ModelTest {
    /// Reports in one batch. A repeated or stale report changes nothing.
    pub(super) async fn report(&mut self, answers: &[(usize, Answer)]) {
        let before = self.world.view(self.run).await;
        let reports = answers.iter().filter_map(|(which, answer)| self.make_report(*which, *answer));
        let (reports, expected): (Vec<_>, Vec<_>) = reports.collect();
        self.model.settle();
        let batch = ReportBatch { worker: "w1".into(), reports };
        let verdicts = self.world.store.complete(self.world.time(), batch).await.expect("verdicts");
        assert_eq!(verdicts.len(), expected.len());
        for (verdict, expected) in verdicts.iter().zip(expected) {
            assert_eq!(*verdict, expected.unwrap_or(*verdict));
        }
        if !self.is_long && answers.iter().all(|(_, answer)| *answer == Answer::Again) {
            assert_eq!(self.world.view(self.run).await, before);
        }
    }

    /// Reports elements of a list whose job goes on, twice. Under a lease that has ended, this changes nothing.
    pub(super) async fn report_piece(&mut self, which: usize, count: u32) {
        let sources = self.holdings.keys().filter(|key| self.model.is_source(key.0));
        let Some(key) = nth(sources, which).cloned() else { return self.report_late_piece(which).await };
        self.numbers += 1;
        let name = self.name_of(&key);
        let held = self.holdings[&key].held.clone();
        for _ in 0..2 {
            assert_eq!(
                self.send_piece(&held, self.model.elements_streamed(&key), count, &name).await,
                PieceVerdict::Accepted
            );
        }
        if count > 0 {
            self.model.stream(&key, count, name);
        }
    }

    async fn report_late_piece(&self, which: usize) {
        let Some((held, ..)) = nth(self.reported.iter(), which) else { return };
        let before = self.world.view(self.run).await;
        assert_eq!(self.send_piece(held, 0, 1, "late").await, PieceVerdict::LeaseLost);
        assert_eq!(self.world.view(self.run).await, before);
    }

    async fn send_piece(&self, held: &LeasedJob, first: u32, count: u32, name: &str) -> PieceVerdict {
        let chunk = Chunk { count, value: Box::new(value(&format!("{name}+{first}"))) };
        let chunks = if count > 0 { vec![chunk] } else { Vec::new() };
        let (run, job, token) = (held.lease.run, held.job(), held.lease.token);
        let piece = ListPiece { worker: "w1".into(), run, job, token, first: first.into(), chunks, wait_ms: 0 };
        self.world.store.record_piece(self.world.time(), piece).await.expect("a verdict")
    }

    /// Returns a name for a value, which begins with the rounds of its job.
    fn name_of(&self, key: &Key) -> String {
        let path: Vec<String> = key.1.iter().map(u32::to_string).collect();
        format!("{}/{}#{}", key.0, path.join("."), self.numbers)
    }

    /// Makes a report, if there is anything to report, and the verdict it must get. One that was accepted may be called stale
    /// when it is sent again.
    fn make_report(&mut self, which: usize, answer: Answer) -> Option<(Report, Option<Verdict>)> {
        let (held, outcome, verdict) = if answer == Answer::Again {
            let (held, outcome, was_taken) = nth(self.reported.iter(), which).cloned()?;
            (held, outcome, (!was_taken).then_some(Verdict::LeaseLost))
        } else {
            let key = nth(self.holdings.keys(), which).cloned()?;
            let (held, outcome) = self.answer(key, answer);
            (held, outcome, Some(Verdict::Accepted))
        };
        Some((
            Report {
                job: held.job(),
                token: held.lease.token,
                outcome,
                log: None,
                arguments: Vec::new(),
                usage: AttemptUsage::of_ms(10),
            },
            verdict,
        ))
    }

    /// Returns the outcome of a lease, and applies it to the model.
    fn answer(&mut self, key: Key, answer: Answer) -> (LeasedJob, Outcome) {
        let Holding { held, isolated, .. } = self.holdings.remove(&key).expect("it is held");
        let outcome = match answer {
            Answer::Complete => self.complete(&key),
            Answer::Fail => failed("no"),
            Answer::Pending => PENDING,
            Answer::Reset => RESET,
            Answer::Cancel => Outcome::Cancelled,
            Answer::Release | Answer::Again => Outcome::Released { reason: "chance".into(), alone: false },
        };
        match answer {
            Answer::Complete => {}
            Answer::Fail => self.model.attempt_failed(key),
            Answer::Pending => self.model.pending(&key),
            Answer::Reset => self.model.reset(key),
            Answer::Cancel => self.cancel_source(key),
            Answer::Release | Answer::Again => self.model.released(key, isolated, self.world.now),
        }
        self.reported.push((held.clone(), outcome.clone(), true));
        (held, outcome)
    }

    /// Returns a value that names its job, or a list whose pieces do.
    fn complete(&mut self, key: &Key) -> Outcome {
        self.numbers += 1;
        let (text, before) = (self.name_of(key), self.model.elements_streamed(key));
        let rest = self.model.is_source(key.0).then(|| self.lists[self.numbers % self.lists.len()]);
        let elements = rest.map(|rest| before + rest);
        self.model.completed.insert(key.clone(), ModelValue { text: text.clone(), elements });
        match elements {
            Some(elements) => Outcome::Completed { value: list_of(before..elements, &text), hints: Hints::default() },
            None => completed(&text),
        }
    }
}

fn list_of(elements: Range<u32>, text: &str) -> ValueRef {
    let end = elements.end;
    let piece =
        |first: u32| Chunk { count: (end - first).min(PIECE), value: Box::new(value(&format!("{text}+{first}"))) };
    ValueRef::List(elements.step_by(PIECE as usize).map(piece).collect())
}
