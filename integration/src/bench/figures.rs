//! Medians, and the noise of what was measured in turns.

use super::case::{Case, Sample};

/// The value in the middle; 0 of none.
#[must_use]
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A figure, and how far rounds were apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The middle of all rounds.
    pub middle: f64,
    /// Half of what the rounds are apart, without the highest and the lowest one where there are more than three.
    pub noise: f64,
}

impl Figure {
    /// Of one value for each round.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = median(values.iter().copied());
        let cut = usize::from(values.len() > 3);
        let kept = values.get(cut..values.len().saturating_sub(cut)).unwrap_or_default();
        let noise = kept.last().zip(kept.first()).map_or(0.0, |(last, first)| (last - first) / 2.0);
        Self { middle, noise }
    }

    /// One that was not measured in rounds.
    #[must_use]
    pub const fn exact(value: f64) -> Self {
        Self { middle: value, noise: 0.0 }
    }
}

/// One case's figure divided by another's, round by round.
#[must_use]
pub(super) fn ratio(case: &Case, to: &Case, figure: fn(&Sample) -> f64) -> Figure {
    Figure::of(case.samples.iter().zip(&to.samples).map(|(sample, to)| figure(sample) / figure(to)))
}

/// The middle of a case's figure.
#[must_use]
pub(super) fn middle(case: &Case, figure: fn(&Sample) -> f64) -> f64 {
    median(case.samples.iter().map(figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_what_rounds_are_apart_without_the_outer_ones() {
        let figure = Figure::of([2.0, 1.0, 9.0, 1.5, 0.1]);
        assert_eq!(figure, Figure { middle: 1.5, noise: 0.5 });
        assert_eq!(Figure::of([3.0]), Figure::exact(3.0));
        assert_eq!(Figure::of([]), Figure::exact(0.0));
    }
}
