//! Samples of one arm, and arms measured in turn.

use std::time::Duration;

/// Measurements of one arm.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Adds those of another.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None yet?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sample below which this share of all lies, 0 to 100. Zero where there are none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * percent.min(100) / 100).copied().unwrap_or_default()
    }

    /// The middle one.
    #[must_use]
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// Median, tenth and ninetieth percentile as one cell.
    #[must_use]
    pub fn cell(&self) -> String {
        format!("{:.3?} ({:.3?} to {:.3?})", self.median(), self.percentile(10), self.percentile(90))
    }
}

/// Runs two arms in the order A B B A, `rounds` times, and gives the samples of both.
///
/// # Errors
/// What an arm says.
pub fn interleave<E>(
    rounds: usize,
    mut a: impl FnMut() -> Result<Duration, E>,
    mut b: impl FnMut() -> Result<Duration, E>,
) -> Result<(Samples, Samples), E> {
    let (mut of_a, mut of_b) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        of_a.push(a()?);
        of_b.push(b()?);
        of_b.push(b()?);
        of_a.push(a()?);
    }
    Ok((of_a, of_b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples = Samples((1..=10).map(Duration::from_millis).collect());
        assert_eq!(samples.percentile(0), Duration::from_millis(1));
        assert_eq!(samples.median(), Duration::from_millis(5));
        assert_eq!(samples.percentile(100), Duration::from_millis(10));
        assert_eq!(Samples::default().median(), Duration::ZERO);
    }
}
