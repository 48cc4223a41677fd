//! The most similar of some names, for hints.

/// Most comparisons of two characters per script. After that, mistakes get no suggestion: comparing a megabyte of unknown names
/// with a megabyte of known ones would take too long for a hint.
const MAX_WORK: usize = 20_000_000;

/// Returns the candidate that is most similar to a word, if it is similar enough to have been intended.
#[must_use]
pub fn nearest<'n>(word: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    Suggester::default().nearest(word, candidates)
}

/// Finds names that were probably intended.
pub(crate) struct Suggester {
    work_left: usize,
}

impl Default for Suggester {
    fn default() -> Self {
        Self { work_left: MAX_WORK }
    }
}

impl Suggester {
    /// The candidate with the fewest edits, if they are few for the length of the word.
    pub(crate) fn nearest<'n>(&mut self, word: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
        let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
        // any two short words are similar: only their case may differ
        let allowed = (word.len() / 3).min(4);
        let mut best = None;
        for candidate in candidates {
            let other: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
            let too_different = other.len().abs_diff(word.len()) > allowed;
            self.charge_budget(if too_different { other.len() } else { word.len() * other.len() } + 1)?;
            if too_different {
                continue;
            }
            let changes = distance(&word, &other);
            if changes <= allowed && best.is_none_or(|best| (changes, candidate) < best) {
                best = Some((changes, candidate));
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    /// The candidate that ends with the same word: `await load` for `load`, or the other way round.
    pub(crate) fn same_last_word<'n>(
        &mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'n str>,
    ) -> Option<&'n str> {
        let last = |name: &str| name.rsplit(' ').next().map(str::len).unwrap_or_default();
        let mut best = None;
        for candidate in candidates {
            self.charge_budget(candidate.len() + 1)?;
            let (short, long) = if candidate.len() < word.len() { (candidate, word) } else { (word, candidate) };
            if long.ends_with(short) && last(long) == short.len() {
                best = best.max(Some(candidate));
            }
        }
        best
    }

    fn charge_budget(&mut self, work: usize) -> Option<()> {
        let left = self.work_left.checked_sub(work);
        self.work_left = left.unwrap_or_default();
        left.map(drop)
    }
}

/// The edit distance: letters to insert, delete, replace, or swap with their neighbour.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before = vec![0; to.len() + 1];
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut here = Vec::with_capacity(above.len());
        here.push(row + 1);
        for (column, other) in to.iter().enumerate() {
            let replace = above.get(column).map_or(0, |cost| cost + usize::from(letter != other));
            let delete = above.get(column + 1).map_or(0, |cost| cost + 1);
            let insert = here.get(column).map_or(0, |cost| cost + 1);
            let swapped =
                row > 0 && column > 0 && from.get(row - 1) == Some(other) && to.get(column - 1) == Some(letter);
            let swap = if swapped { before.get(column - 1).map_or(usize::MAX, |cost| cost + 1) } else { usize::MAX };
            here.push(replace.min(delete).min(insert).min(swap));
        }
        before = core::mem::replace(&mut above, here);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested() {
        let names = ["download", "upload", "request"];
        let nearest = |word| Suggester::default().nearest(word, names);
        assert_eq!(nearest("donwload"), Some("download"));
        assert_eq!(nearest("Upload"), Some("upload"));
        assert_eq!(nearest("zzz"), None);
    }

    #[test]
    fn suggestions_stop_when_they_cost_too_much() {
        let long = "a".repeat(10_000);
        let mut suggester = Suggester::default();
        assert_eq!(suggester.nearest(&long, [long.as_str()]), None);
    }
}
