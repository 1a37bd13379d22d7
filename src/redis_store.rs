//! Sessions in Redis, for several replicas of this process: standalone, with Sentinel, or in a Cluster.
//!
//! # Where things are
//! Every key begins with `{prefix}:`, which is a hash tag: in a Cluster all of them lie in one slot, on one primary. The
//! contract asks for steps that are atomic over a session, the indexes of its person and the marks of logouts, and a
//! Cluster runs no script over several slots. Spread over slots, a sign-in would be a protocol of several steps, whose
//! halves must be found and mended after each failure; and a million sessions are two gigabytes, which one primary
//! holds. So a Cluster gives us its failover, not its size.
//!
//! | key | what it is |
//! |---|---|
//! | `r:` and a record's name | the sealed record and its version; the only keys whose changes are told |
//! | `s:` and a record's name | its sealed listing, its end, and the indexes that it stands in |
//! | `i:` and a key of an index | the names of the records in it, by when they began |
//! | `l:` and a key of an index | the mark of a logout |
//! | `m:` and a mark's key | a spent mark |
//! | `h:` and a lease's key | who holds a lease |
//! | `expiry`, `marks` | what ends when |
//! | `revoked` | the list of revocations |
//! | `time` | the latest time that was seen |
//!
//! # How it is spoken to
//! Every call is one script, `redis_store/steps.lua`, which runs on the primary alone; a Redis replica is never read. Writes
//! that must hold wait (`WAIT`) until every Redis replica that the primary has has them, or as many as are configured: of
//! those any may be the next primary. A `Keeper` finds the primary and keeps two connections to it,
//! until that fails or the sentinels name another one; what one of the connections reads and the invalidations that it
//! hears are in the server's order. Each call has a deadline, and only so many run at once.

mod config;
mod failure;
mod keeper;
mod link;
mod reach;
mod refused;
mod replicas;
mod steps;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use prometheus_client::metrics::gauge::Gauge;
use redis::{FromRedisValue as _, Pipeline, RedisError, RedisResult, Value, aio::MultiplexedConnection};
use tokio::task::JoinHandle;

pub use self::{
    config::{RedisAddress, RedisConfig, RedisServers, RedisTls},
    refused::Refused,
};
use self::{
    failure::{call, is_elsewhere},
    keeper::{Hearing, Keeper},
    link::{Link, LinkError},
    reach::Reach,
    steps::{Answer, Steps, bytes_of, name as read_name, number, unreadable},
};
use crate::{
    calls::Places,
    clock::{SharedClock, Timestamp},
    panics::kept_up,
    store::{
        Generation, IndexKeys, Inserted, Judged, LatestTime, LeaseHolder, LeaseKey, LeaseStore, MarkKeys, MarkStore,
        NewRecord, RecordName, Replaced, Replacement, RevocationChange, RevocationEntry, RevocationId, RevocationList,
        RevocationStore, SessionStore, StoreError, StoreObserver, StoreReach, StoredListing, StoredRecord,
        too_many_revocations,
    },
};

/// How many calls run at once; more callers wait, within their deadline.
const CALLS: usize = 1024;

/// The steps that may be tried again.
const READS: [&str; 3] = ["get", "list", "revocations"];

/// A store in Redis.
pub struct RedisStore {
    config: RedisConfig,
    steps: Steps,
    clock: SharedClock,
    latest: LatestTime,
    hearing: Arc<Hearing>,
    keeper: Arc<Keeper>,
    keeping: JoinHandle<()>,
    calls: Places,
}

/// Whether a step's outcome must survive the primary.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// It is a read, or may be lost.
    None,
    /// The replicas must have it, where there are some.
    Replicated,
}

impl RedisStore {
    /// Connects. Where nobody answers the store is opened all the same, and fails every call until somebody does. `up` is
    /// 1 while the primary is reached.
    ///
    /// # Errors
    /// Where waiting mends nothing: a wrong password or certificate file, or a server that may forget what it holds.
    pub async fn open(config: RedisConfig, clock: SharedClock, up: Gauge) -> Result<Self, Refused> {
        let steps = Steps::new(&config.prefix);
        let hearing = Arc::new(Hearing::new(Arc::clone(&clock)));
        let reach = Reach::new(Arc::clone(&clock), up);
        let keeper = Keeper::new(config.clone(), steps.clone(), Arc::clone(&hearing), reach);
        match keeper.connect().await {
            Ok(()) => {}
            Err(LinkError::Refused(problem)) => return Err(Refused { problem }),
            Err(LinkError::Unreachable(problem)) => {
                tracing::error!(problem, "the session store is not reached: nobody is signed in until it is");
            }
        }
        let kept = Arc::clone(&keeper);
        let keeping = tokio::spawn(kept_up("connection to Redis", move || Arc::clone(&kept).keep()));
        let (latest, calls) = (LatestTime::of(Timestamp::from_unix_millis(0)), Places::new(CALLS));
        Ok(Self { config, steps, clock, latest, hearing, keeper, keeping, calls })
    }

    /// Runs one step, within the deadline.
    async fn run(&self, step: &'static str, arguments: Vec<Vec<u8>>, wanted: Durability) -> Result<Value, StoreError> {
        let deadline = self.config.timeout;
        let timed_out = || StoreError::Unavailable(format!("Redis did not answer within {}", humantime(deadline)));
        let run = async {
            let place = self.calls.take_in_turn().await;
            let _place = place.ok_or_else(|| StoreError::Unavailable("there is no place for a call".to_owned()))?;
            loop {
                let link = self.keeper.link().await;
                let link = link.ok_or_else(|| StoreError::Unavailable("there is no connection".to_owned()))?;
                let outcome = self.run_on(&link, step, &arguments, wanted).await;
                // What a step that only reads would have said, the next primary says. Of another the outcome is unknown.
                if outcome.is_ok() || !READS.contains(&step) || self.keeper.is_current(&link) {
                    return outcome;
                }
            }
        };
        tokio::time::timeout(deadline, run).await.map_err(|_| timed_out())?
    }

    async fn run_on(
        &self,
        link: &Arc<Link>,
        step: &'static str,
        arguments: &[Vec<u8>],
        wanted: Durability,
    ) -> Result<Value, StoreError> {
        let now = self.clock.now();
        let seen = self.latest.note(now).max(now);
        let replicas = match wanted {
            Durability::None => 0,
            Durability::Replicated => self.config.replicas.unwrap_or_else(|| link.replicas()),
        };
        let mut connection = if wanted == Durability::None { link.reader.clone() } else { link.writer.clone() };
        let pipeline = |whole: bool| {
            let mut pipeline = Pipeline::new();
            pipeline.ignore_errors();
            pipeline.add_command(if whole {
                self.steps.call_whole(step, now, seen, arguments)
            } else {
                self.steps.call(&link.script, step, now, seen, arguments)
            });
            if replicas > 0 {
                // Leaves time to say that it failed.
                let patience = u64::try_from((self.config.timeout / 2).as_millis()).unwrap_or(u64::MAX).max(1);
                pipeline.cmd("WAIT").arg(replicas).arg(patience);
            }
            pipeline
        };
        let failed = |error: RedisError| {
            if is_elsewhere(&error) {
                self.keeper.report_broken(link);
            }
            call(&error)
        };
        let mut answers = ask(&pipeline(false), &mut connection).await;
        if answers.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT")) {
            answers = ask(&pipeline(true), &mut connection).await;
        }
        let (answer, acknowledged) = answers.map_err(failed)?;
        let answer = Answer::read(answer)?;
        self.latest.settle(seen, answer.judged);
        self.hearing.observers().changed(&answer.changed);
        if acknowledged < replicas {
            return Err(StoreError::Unavailable(format!(
                "{acknowledged} of {replicas} Redis replicas have the change"
            )));
        }
        Ok(answer.says)
    }

    async fn count(&self, step: &'static str, arguments: Vec<Vec<u8>>, wanted: Durability) -> Result<i64, StoreError> {
        let says = self.run(step, arguments, wanted).await?;
        i64::from_redis_value(says).map_err(|_| unreadable("no count"))
    }

    async fn names(
        &self,
        step: &'static str,
        arguments: Vec<Vec<u8>>,
        wanted: Durability,
    ) -> Result<Vec<RecordName>, StoreError> {
        bytes_of(self.run(step, arguments, wanted).await?)?.into_iter().map(read_name).collect()
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn insert(&self, record: NewRecord) -> Result<Inserted, StoreError> {
        let stored = record.indexes().map(|index| index.stored().as_bytes().as_slice()).collect::<Vec<_>>().concat();
        let searched = record.indexes().flat_map(joined).collect();
        let subject = joined(&record.subject);
        let arguments = vec![
            record.name.as_bytes().to_vec(),
            record.sealed,
            record.listing,
            time(record.created_at),
            time(record.expires_at),
            time(record.login_began_at),
            subject,
            searched,
            stored,
        ];
        let mut says = bytes_of(self.run("insert", arguments, Durability::Replicated).await?)?.into_iter();
        match says.next().as_deref() {
            Some(b"stored") => Ok(Inserted::Stored { ended: says.map(read_name).collect::<Result<_, _>>()? }),
            Some(b"logged_out") => Ok(Inserted::LoggedOut),
            Some(b"name_taken") => Ok(Inserted::NameTaken),
            _ => Err(unreadable("no outcome of an insert")),
        }
    }

    fn reach(&self) -> Option<StoreReach> {
        Some(self.keeper.reach().state())
    }

    fn may_remember_for(&self) -> Duration {
        self.config.cache_lifetime
    }

    async fn get(&self, name: &RecordName) -> Result<Option<StoredRecord>, StoreError> {
        let says = self.run("get", vec![name.as_bytes().to_vec()], Durability::None).await?;
        if says == Value::Nil {
            return Ok(None);
        }
        let Ok::<[Vec<u8>; 4], _>([sealed, version, listing, expires_at]) = bytes_of(says)?.try_into() else {
            return Err(unreadable("not four parts"));
        };
        let expires_at = Timestamp::from_unix_millis(number(&expires_at)?);
        Ok(Some(StoredRecord { sealed, listing, version: number(&version)?, expires_at }))
    }

    async fn replace(&self, name: &RecordName, replacement: Replacement) -> Result<Replaced, StoreError> {
        let version = replacement.version.to_string().into_bytes();
        let arguments = vec![name.as_bytes().to_vec(), version, replacement.sealed, time(replacement.expires_at)];
        let says = self.run("replace", arguments, Durability::Replicated).await?;
        match String::from_redis_value(says).as_deref() {
            Ok("done") => Ok(Replaced::Done),
            Ok("gone") => Ok(Replaced::Gone),
            Ok("stale") => Ok(Replaced::Stale),
            _ => Err(unreadable("no outcome of a replacement")),
        }
    }

    async fn touch(&self, name: &RecordName, listing: Vec<u8>, expires_at: Timestamp) -> Result<bool, StoreError> {
        let arguments = vec![name.as_bytes().to_vec(), listing, time(expires_at)];
        Ok(self.count("touch", arguments, Durability::None).await? == 1)
    }

    async fn remove(&self, name: &RecordName) -> Result<bool, StoreError> {
        Ok(self.count("remove", vec![name.as_bytes().to_vec()], Durability::Replicated).await? == 1)
    }

    async fn list(&self, index: &IndexKeys) -> Result<Vec<StoredListing>, StoreError> {
        let listed = bytes_of(self.run("list", vec![joined(index)], Durability::None).await?)?;
        let mut listed = listed.into_iter();
        let mut listings = Vec::new();
        while let (Some(name), Some(listing)) = (listed.next(), listed.next()) {
            listings.push(StoredListing { name: read_name(name)?, listing });
        }
        Ok(listings)
    }

    async fn end_all(
        &self,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Vec<RecordName>, StoreError> {
        self.names("end_all", vec![joined(index), time(not_before), time(mark_until)], Durability::Replicated).await
    }

    async fn end_all_once(
        &self,
        mark: &MarkKeys,
        index: &IndexKeys,
        not_before: Timestamp,
        mark_until: Timestamp,
    ) -> Result<Option<Vec<RecordName>>, StoreError> {
        let arguments = vec![joined(index), time(not_before), time(mark_until), marks(mark)];
        match self.run("end_all_once", arguments, Durability::Replicated).await? {
            Value::Nil => Ok(None),
            ended => bytes_of(ended)?.into_iter().map(read_name).collect::<Result<_, _>>().map(Some),
        }
    }

    async fn sweep(&self) -> Result<usize, StoreError> {
        let deleted = self.count("sweep", Vec::new(), Durability::None).await?;
        usize::try_from(deleted).map_err(|_| unreadable("no count"))
    }

    fn observe(&self, observer: Weak<dyn StoreObserver>) -> bool {
        self.hearing.observers().add(observer);
        true
    }

    fn tells_of_changes(&self) -> bool {
        self.hearing.is_good()
    }
}

#[async_trait]
impl MarkStore for RedisStore {
    async fn spend(&self, mark: &MarkKeys, until: Timestamp) -> Result<bool, StoreError> {
        Ok(self.count("spend", vec![marks(mark), time(until)], Durability::Replicated).await? == 1)
    }
}

#[async_trait]
impl LeaseStore for RedisStore {
    async fn take_lease(&self, lease: &LeaseKey, holder: &LeaseHolder, until: Timestamp) -> Result<bool, StoreError> {
        let arguments = vec![lease.as_bytes().to_vec(), holder.as_bytes().to_vec(), time(until)];
        Ok(self.count("take_lease", arguments, Durability::None).await? == 1)
    }

    async fn release_lease(&self, lease: &LeaseKey, holder: &LeaseHolder) -> Result<bool, StoreError> {
        let arguments = vec![lease.as_bytes().to_vec(), holder.as_bytes().to_vec()];
        Ok(self.count("release_lease", arguments, Durability::None).await? == 1)
    }
}

#[async_trait]
impl RevocationStore for RedisStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn revocations(&self, seen: Option<Generation>) -> Result<RevocationList, StoreError> {
        let seen = seen.map(|seen| seen.number().to_string()).unwrap_or_default().into_bytes();
        let Value::Array(says) = self.run("revocations", vec![seen], Durability::None).await? else {
            return Err(unreadable("no list of revocations"));
        };
        let mut says = says.into_iter();
        let generation = says.next().ok_or_else(|| unreadable("no generation"))?;
        let generation = number(&Vec::from_redis_value(generation).map_err(|_| unreadable("no generation"))?)?;
        let Some(fields) = says.next() else { return Ok(RevocationList::Unchanged) };
        let now = Judged::by(self.clock.now(), self.latest.get()).now;
        let (mut entries, mut digest) = (Vec::new(), None);
        let mut fields = bytes_of(fields)?.into_iter();
        while let (Some(name), Some(stored)) = (fields.next(), fields.next()) {
            // The generation and the digest stand beside the entries.
            match <[u8; RevocationId::BYTES]>::try_from(name) {
                Ok(id) => entries.push(read_revocation(RevocationId::from_bytes(id), stored)),
                Err(name) if name == b"digest" => digest = Some(stored),
                Err(_) => {}
            }
        }
        entries.retain(|entry| entry.expires_at.is_none_or(|end| end > now));
        Ok(RevocationList::Entries { generation: Generation::from_number(generation), entries, digest })
    }

    async fn change_revocations(&self, change: RevocationChange) -> Result<bool, StoreError> {
        let [next, seen] = [Generation::random(), change.seen].map(|generation| generation.number().to_string());
        let mut arguments = vec![next.into_bytes(), seen.into_bytes(), change.digest];
        for entry in change.entries {
            let expires_at = entry.expires_at.map(time).unwrap_or_default();
            arguments.extend([entry.id.as_bytes().to_vec(), time(entry.updated_at), expires_at, entry.sealed]);
        }
        match self.count("change_revocations", arguments, Durability::Replicated).await? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(too_many_revocations()),
        }
    }
}

/// What a step answers, and how many replicas have what it did.
async fn ask(pipeline: &Pipeline, connection: &mut MultiplexedConnection) -> Result<(Value, u32), RedisError> {
    let mut answers = pipeline.query_async::<Vec<RedisResult<Value>>>(connection).await?.into_iter();
    let answer = answers.next().unwrap_or(Ok(Value::Nil))?;
    let acknowledged = answers.next().transpose()?.map_or(Ok(0), u32::from_redis_value)?;
    Ok((answer, acknowledged))
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RedisStore").field("servers", &self.config.servers).finish_non_exhaustive()
    }
}

/// A list of keys in the form in which the steps take it: one behind the other.
fn joined(index: &IndexKeys) -> Vec<u8> {
    index.searched().iter().flat_map(|key| *key.as_bytes()).collect()
}

fn marks(mark: &MarkKeys) -> Vec<u8> {
    mark.searched().iter().flat_map(|key| *key.as_bytes()).collect()
}

fn time(time: Timestamp) -> Vec<u8> {
    time.as_unix_millis().to_string().into_bytes()
}

/// An entry as it is stored: `updated:expires:sealed`. What somebody else wrote there is an entry that does not open.
fn read_revocation(id: RevocationId, stored: Vec<u8>) -> RevocationEntry {
    let read = |stored: &[u8]| {
        let mut parts = stored.splitn(3, |byte| *byte == b':');
        let (updated_at, expires_at, sealed) = (parts.next()?, parts.next()?, parts.next()?);
        let expires_at = if expires_at.is_empty() { None } else { Some(number(expires_at).ok()?) };
        Some(RevocationEntry {
            id,
            updated_at: Timestamp::from_unix_millis(number(updated_at).ok()?),
            expires_at: expires_at.map(Timestamp::from_unix_millis),
            sealed: sealed.to_vec(),
        })
    };
    let foreign = |sealed| RevocationEntry { id, updated_at: Timestamp::from_unix_millis(0), expires_at: None, sealed };
    read(&stored).unwrap_or_else(|| foreign(stored))
}

fn humantime(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(duration)
}
