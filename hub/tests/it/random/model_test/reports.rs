//! Workers report.

use bue_model::attempt::AttemptUsage;
use bue_model::job::Hints;
use bue_model::wire::{Report, ReportBatch, Verdict};
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
            Answer::Cancel => self.model.cancel(key),
            Answer::Release | Answer::Again => self.model.released(key, isolated, self.world.now),
        }
        self.reported.push((held.clone(), outcome.clone(), true));
        (held, outcome)
    }

    /// Returns a value that names its job, or a list whose pieces do.
    fn complete(&mut self, key: &Key) -> Outcome {
        self.numbers += 1;
        let path: Vec<String> = key.1.iter().map(u32::to_string).collect();
        let text = format!("{}/{}#{}", key.0, path.join("."), self.numbers);
        let elements = self.model.is_source(key.0).then(|| self.lists[self.numbers % self.lists.len()]);
        self.model.completed.insert(key.clone(), ModelValue { text: text.clone(), elements });
        match elements {
            Some(elements) => Outcome::Completed { value: list_of(elements, &text), hints: Hints::default() },
            None => completed(&text),
        }
    }
}

fn list_of(elements: u32, text: &str) -> ValueRef {
    let piece =
        |first: u32| Chunk { count: (elements - first).min(PIECE), value: Box::new(value(&format!("{text}+{first}"))) };
    ValueRef::List((0..elements).step_by(PIECE as usize).map(piece).collect())
}
