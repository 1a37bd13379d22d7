//! What a figure is held to.

use std::fmt;

use super::figures::Figure;

/// A bound on a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// It may be so high.
    AtMost(f64),
    /// It may be so low.
    AtLeast(f64),
}

/// A figure with its bound.
#[derive(Debug, Clone)]
pub struct Goal {
    /// What is held to it.
    pub what: String,
    /// What was found.
    pub found: Figure,
    /// The bound.
    pub bound: Bound,
    /// What both are counted in; empty for a ratio.
    pub unit: &'static str,
}

impl Goal {
    /// That a ratio is at most so high.
    #[must_use]
    pub fn ratio(what: impl Into<String>, found: Figure, most: f64) -> Self {
        Self { what: what.into(), found, bound: Bound::AtMost(most), unit: "" }
    }

    /// Whether it is missed by more than the noise.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        let Figure { middle, noise } = self.found;
        match self.bound {
            Bound::AtMost(most) => middle - noise > most,
            Bound::AtLeast(least) => middle + noise < least,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(formatter, "≤ {most}"),
            Self::AtLeast(least) => write!(formatter, "≥ {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_missed_by_more_than_the_noise_only() {
        let goal =
            |middle, noise, bound| Goal { what: String::new(), found: Figure { middle, noise }, bound, unit: "" };
        assert!(!goal(0.66, 0.02, Bound::AtMost(0.65)).is_missed());
        assert!(goal(0.68, 0.02, Bound::AtMost(0.65)).is_missed());
        assert!(!goal(990.0, 20.0, Bound::AtLeast(1000.0)).is_missed());
        assert!(goal(900.0, 20.0, Bound::AtLeast(1000.0)).is_missed());
    }
}
