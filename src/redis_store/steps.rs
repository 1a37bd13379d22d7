//! The script of all steps, and how a step is written and its answer read.

use redis::{Cmd, FromRedisValue as _, Value};

use crate::{
    clock::Timestamp,
    store::{
        CLOCK_TOLERANCE, MARK_GRACE, MAX_REVOCATIONS, MAX_SESSIONS_PER_SUBJECT, RecordName, SWEEP_BATCH, StoreError,
    },
};

/// The steps on the keys of one prefix.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    tag: String,
    source: String,
}

/// What a step answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The time by which it judged.
    pub(super) judged: Timestamp,
    /// The records that it replaced or deleted.
    pub(super) changed: Vec<RecordName>,
    /// What it says.
    pub(super) says: Value,
}

impl Steps {
    pub(super) fn new(prefix: &str) -> Self {
        let source = format!(
            "local TOLERANCE, GRACE, MOST_SESSIONS, MOST_REVOCATIONS, BATCH = {}, {}, {}, {}, {}\n{}",
            CLOCK_TOLERANCE.as_millis(),
            MARK_GRACE.as_millis(),
            MAX_SESSIONS_PER_SUBJECT,
            MAX_REVOCATIONS,
            SWEEP_BATCH,
            include_str!("steps.lua"),
        );
        Self { tag: format!("{{{prefix}}}:"), source }
    }

    /// The script.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// What the keys of records begin with: those whose changes are told.
    pub(super) fn record_prefix(&self) -> String {
        format!("{}r:", self.tag)
    }

    /// The record of a key whose change was told.
    pub(super) fn record_of(&self, key: &[u8]) -> Option<RecordName> {
        let name = key.strip_prefix(self.record_prefix().as_bytes())?;
        Some(RecordName::from_bytes(name.try_into().ok()?))
    }

    /// A call of one step; its own arguments are to follow.
    pub(super) fn call(&self, script: &str, step: &str, now: Timestamp, seen: Timestamp, arguments: &[Vec<u8>]) -> Cmd {
        self.command("EVALSHA", script, step, now, seen, arguments)
    }

    /// The same call where the server has forgotten the script.
    pub(super) fn call_whole(&self, step: &str, now: Timestamp, seen: Timestamp, arguments: &[Vec<u8>]) -> Cmd {
        self.command("EVAL", &self.source, step, now, seen, arguments)
    }

    fn command(
        &self,
        verb: &str,
        script: &str,
        step: &str,
        now: Timestamp,
        seen: Timestamp,
        arguments: &[Vec<u8>],
    ) -> Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(1).arg(format!("{}time", self.tag)).arg(step);
        command.arg(now.as_unix_millis()).arg(seen.as_unix_millis());
        for argument in arguments {
            command.arg(argument.as_slice());
        }
        command
    }
}

impl Answer {
    pub(super) fn read(value: Value) -> Result<Self, StoreError> {
        let Value::Array(parts) = value else { return Err(unreadable("no list")) };
        let Ok::<[Value; 3], _>([judged, changed, says]) = parts.try_into() else {
            return Err(unreadable("not three parts"));
        };
        let judged = u64::from_redis_value(judged).map_err(|_| unreadable("no time"))?;
        let changed = bytes_of(changed)?.into_iter().map(name).collect::<Result<_, _>>()?;
        Ok(Self { judged: Timestamp::from_unix_millis(judged), changed, says })
    }
}

/// A list of byte strings.
pub(super) fn bytes_of(value: Value) -> Result<Vec<Vec<u8>>, StoreError> {
    let Value::Array(values) = value else { return Err(unreadable("no list")) };
    values.into_iter().map(|value| Vec::<u8>::from_redis_value(value).map_err(|_| unreadable("no bytes"))).collect()
}

pub(super) fn name(bytes: Vec<u8>) -> Result<RecordName, StoreError> {
    Ok(RecordName::from_bytes(bytes.try_into().map_err(|_| unreadable("a record's name is not 32 bytes"))?))
}

/// A number that is written in digits.
pub(super) fn number(bytes: &[u8]) -> Result<u64, StoreError> {
    std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(|| unreadable("no number"))
}

pub(super) fn unreadable(what: &str) -> StoreError {
    StoreError::Damaged(format!("an answer of Redis does not read: {what}"))
}
