//! How a job is named in messages: `work(account={'id': 7, …}), round 8 of 300, job 19`.

use bue_model::wire::{FailedJob, JobView};
use bue_model::{ArgumentSummary, Round};

/// Names a failed job.
pub(crate) fn failed_job_name(job: &FailedJob) -> String {
    format!("{}, job {}", execution(&job.step, &job.arguments, &job.rounds), job.job)
}

/// Names a job by its step, the arguments of its last attempt if that failed, and its rounds.
pub(crate) fn job_name(job: &JobView) -> String {
    match job.arguments.as_slice() {
        [] => format!("step `{}`{}", job.step, comma(&rounds_text(&job.rounds))),
        arguments => format!("step `{}`, {}", job.step, execution(&job.step, arguments, &job.rounds)),
    }
}

/// `work(account={'id': 7, …}), round 8 of 300`
fn execution(step: &str, arguments: &[ArgumentSummary], rounds: &[Round]) -> String {
    let arguments: Vec<String> = arguments.iter().map(argument).collect();
    format!("{step}({}){}", arguments.join(", "), comma(&rounds_text(rounds)))
}

fn argument(argument: &ArgumentSummary) -> String {
    match &argument.name {
        Some(name) => format!("{name}={}", argument.value),
        None => argument.value.clone(),
    }
}

/// `round 8 of 300`, or with a loop around it `round 8 of 300 in round 2 of 3`. Empty outside loops.
fn rounds_text(rounds: &[Round]) -> String {
    let texts: Vec<String> =
        rounds.iter().rev().map(|round| format!("round {} of {}", round.round, round.rounds)).collect();
    texts.join(" in ")
}

fn comma(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(", {text}") }
}

/// `called in line 12, in the loop over account in line 11`
pub(crate) fn call_text(job: &FailedJob) -> String {
    let loops = job.rounds.iter().rev().map(|round| format!(", for {} in line {}", round.variable, round.line));
    format!("called in line {}{}", job.line, loops.collect::<String>())
}

/// Returns the number of the job's round, with those of the loops around it in front: `2.8`. Empty outside loops.
pub(crate) fn round_number(rounds: &[Round]) -> String {
    rounds.iter().map(|round| round.round.to_string()).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(round: u64, rounds: u64) -> Round {
        Round { variable: "x".to_owned(), line: 2, round, rounds }
    }

    #[test]
    fn a_job_is_named_by_its_arguments_and_rounds() {
        let account = ArgumentSummary { name: Some("account".to_owned()), value: "{'id': 7, …}".to_owned() };
        let second = ArgumentSummary { name: None, value: "3".to_owned() };
        let name = execution("work", &[account, second], &[round(8, 300)]);
        assert_eq!(name, "work(account={'id': 7, …}, 3), round 8 of 300");
        assert_eq!(execution("work", &[], &[]), "work()");
        assert_eq!(execution("work", &[], &[round(2, 3), round(8, 300)]), "work(), round 8 of 300 in round 2 of 3");
        assert_eq!(round_number(&[round(2, 3), round(8, 300)]), "2.8");
    }
}
