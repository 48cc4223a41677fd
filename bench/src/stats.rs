//! Samples of an arm, and interleaved measurement of two arms.

use std::time::Duration;

/// The measured durations of one arm.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds a sample.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Adds the samples of another.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Returns the number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no samples.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a percentile, 0 to 100: always one of the samples. Zero if there are none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * percent.min(100) / 100).copied().unwrap_or_default()
    }

    /// Returns the median.
    #[must_use]
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// Formats the median with the 10th and 90th percentiles.
    #[must_use]
    pub fn cell(&self) -> String {
        format!("{:.3?} ({:.3?} to {:.3?})", self.median(), self.percentile(10), self.percentile(90))
    }
}

/// Runs two arms in the order A B B A, `rounds` times, and returns the samples of both.
///
/// # Errors
/// The first error of an arm.
pub fn interleave<E>(
    rounds: usize,
    mut a: impl FnMut() -> Result<Duration, E>,
    mut b: impl FnMut() -> Result<Duration, E>,
) -> Result<(Samples, Samples), E> {
    let (mut samples_a, mut samples_b) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        samples_a.push(a()?);
        samples_b.push(b()?);
        samples_b.push(b()?);
        samples_a.push(a()?);
    }
    Ok((samples_a, samples_b))
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
