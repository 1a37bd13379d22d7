//! What is asked of the sessions, and how many a person has.

/// How many sessions a person has.
pub const SESSIONS_PER_PERSON: u64 = 5;

/// What is asked of the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A check over gRPC whose session the process has not seen: the store is asked.
    StoredCheck,
    /// A check over gRPC whose session the process has in memory.
    CachedCheck,
    /// A list of a person's sessions, by user id, at the session service.
    List,
    /// A logout by the provider, by `sid`, over HTTP.
    BackChannelLogout,
}

impl Operation {
    pub(super) const ALL: [Self; 4] = [Self::StoredCheck, Self::CachedCheck, Self::List, Self::BackChannelLogout];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::StoredCheck => "check, from Redis",
            Self::CachedCheck => "check, from memory",
            Self::List => "list by user",
            Self::BackChannelLogout => "back-channel logout",
        }
    }

    pub(super) const fn is_check(self) -> bool {
        matches!(self, Self::StoredCheck | Self::CachedCheck)
    }
}
