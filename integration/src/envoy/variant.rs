//! The Envoys on which the suites run.

/// The pinned versions of Envoy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// The last before the meaning of `append_action` changed.
    V1_36_4,
    /// In between.
    V1_38_3,
    /// The newest.
    V1_40_0,
}

impl Version {
    /// Its name among the parts.
    pub(crate) fn part(self) -> &'static str {
        match self {
            Self::V1_36_4 => "envoy-1.36.4",
            Self::V1_38_3 => "envoy-1.38.3",
            Self::V1_40_0 => "envoy-1.40.0",
        }
    }
}

/// How the listener is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Envoy's defaults, which most people have.
    Default,
    /// Paths normalised, escaped slashes and underscores refused, mutations validated.
    Hardened,
}

/// One of the Envoys on which the suites run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Its version.
    pub version: Version,
    /// Its listener's set-up.
    pub mode: Mode,
}

impl Variant {
    /// All that the suites run on.
    pub const ALL: [Self; 4] = [
        Self::new(Version::V1_36_4, Mode::Default),
        Self::new(Version::V1_38_3, Mode::Default),
        Self::NEWEST,
        Self::HARDENED,
    ];
    /// Each version with its defaults, for suites that take long and that a hardened listener changes nothing for.
    pub const DEFAULTS: [Self; 3] = [Self::ALL[0], Self::ALL[1], Self::NEWEST];
    /// The newest version with its defaults.
    pub const NEWEST: Self = Self::new(Version::V1_40_0, Mode::Default);
    /// The newest version, hardened.
    pub const HARDENED: Self = Self::new(Version::V1_40_0, Mode::Hardened);

    const fn new(version: Version, mode: Mode) -> Self {
        Self { version, mode }
    }

    /// Whether Envoy itself may refuse what attacks a path or a header's name.
    #[must_use]
    pub fn is_hardened(self) -> bool {
        self.mode == Mode::Hardened
    }
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = match self.mode {
            Mode::Default => "default",
            Mode::Hardened => "hardened",
        };
        write!(f, "{} {mode}", self.version.part())
    }
}
