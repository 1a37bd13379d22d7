//! Calls of a store at random: whatever is asked of two backends, they answer alike.

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    clock::{Clock as _, Timestamp},
    store::{
        LeaseHolder, LeaseKey, NewRecord, Replacement, RevocationChange, RevocationEntry, RevocationId, RevocationList,
        contract::{name, record, subject_of},
        index,
        testing::{World, ring},
    },
};

/// One call of a store, or a move of the clock.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Insert { number: u64, person: u8, began: i8, lives: u16 },
    Get(u64),
    Replace { number: u64, version: u64, lives: u16 },
    Touch { number: u64, lives: u16 },
    Remove(u64),
    List(u8),
    EndAll { person: u8, not_before: i8 },
    EndAllOnce { mark: u8, person: u8, not_before: i8, lives: u16 },
    Spend { mark: u8, lives: u16 },
    TakeLease { holder: u8, lives: u16 },
    ReleaseLease { holder: u8 },
    Revoke { id: u8, updated_at: u8, lives: Option<u16> },
    Revocations,
    Sweep,
    Move(i16),
}

impl Call {
    /// Whether it is about a lease.
    pub(crate) const fn is_of_a_lease(&self) -> bool {
        matches!(self, Self::TakeLease { .. } | Self::ReleaseLease { .. })
    }
}

pub(crate) fn calls() -> impl Strategy<Value = Vec<Call>> {
    let (number, person, lives) = (0..6_u64, 0..2_u8, 0..300_u16);
    let call = prop_oneof![
        6 => (number.clone(), person.clone(), any::<i8>(), lives.clone())
            .prop_map(|(number, person, began, lives)| Call::Insert { number, person, began, lives }),
        3 => number.clone().prop_map(Call::Get),
        1 => (number.clone(), 1..3_u64, lives.clone())
            .prop_map(|(number, version, lives)| Call::Replace { number, version, lives }),
        1 => (number.clone(), lives.clone()).prop_map(|(number, lives)| Call::Touch { number, lives }),
        1 => number.prop_map(Call::Remove),
        2 => person.clone().prop_map(Call::List),
        1 => (person.clone(), any::<i8>()).prop_map(|(person, not_before)| Call::EndAll { person, not_before }),
        1 => (0..2_u8, person, any::<i8>(), lives.clone())
            .prop_map(|(mark, person, not_before, lives)| Call::EndAllOnce { mark, person, not_before, lives }),
        1 => (0..2_u8, lives).prop_map(|(mark, lives)| Call::Spend { mark, lives }),
        1 => (0..2_u8, 0..300_u16).prop_map(|(holder, lives)| Call::TakeLease { holder, lives }),
        1 => (0..2_u8).prop_map(|holder| Call::ReleaseLease { holder }),
        1 => (0..3_u8, 0..4_u8, prop::option::of(0..300_u16))
            .prop_map(|(id, updated_at, lives)| Call::Revoke { id, updated_at, lives }),
        1 => Just(Call::Revocations),
        1 => Just(Call::Sweep),
        3 => prop_oneof![-200..300_i16, 3000..9000_i16].prop_map(Call::Move),
    ];
    prop::collection::vec(call, 1..60)
}

/// Carries out a call; what came of it, as text.
pub(crate) async fn carry_out(world: &World, call: &Call) -> String {
    let store = world.store.as_ref();
    let now = world.clock.now();
    let later = |lives: u16| now.plus(Duration::from_secs(u64::from(lives)));
    match *call {
        Call::Insert { number, person, began, lives } => {
            let record = NewRecord {
                created_at: now,
                expires_at: later(lives),
                login_began_at: shifted(now, began.into()),
                ..record(number, &person.to_string())
            };
            format!("{:?}", store.insert(record).await)
        }
        Call::Get(number) => format!("{:?}", store.get(&name(number)).await),
        Call::Replace { number, version, lives } => {
            let replacement = Replacement { version, sealed: b"replaced".to_vec(), expires_at: later(lives) };
            format!("{:?}", store.replace(&name(number), replacement).await)
        }
        Call::Touch { number, lives } => {
            format!("{:?}", store.touch(&name(number), b"touched".to_vec(), later(lives)).await)
        }
        Call::Remove(number) => format!("{:?}", store.remove(&name(number)).await),
        Call::List(person) => format!("{:?}", store.list(&subject_of(&person.to_string())).await),
        Call::EndAll { person, not_before } => {
            let not_before = shifted(now, not_before.into());
            format!("{:?}", store.end_all(&subject_of(&person.to_string()), not_before, later(300)).await)
        }
        Call::EndAllOnce { mark, person, not_before, lives } => {
            let (mark, index) = (index::spent(&ring(&[1]), &[mark]), subject_of(&person.to_string()));
            format!("{:?}", store.end_all_once(&mark, &index, shifted(now, not_before.into()), later(lives)).await)
        }
        Call::Spend { mark, lives } => {
            format!("{:?}", store.spend(&index::spent(&ring(&[1]), &[mark]), later(lives)).await)
        }
        Call::TakeLease { holder, lives } => {
            format!("{:?}", store.take_lease(&lease(), &LeaseHolder::numbered(holder), later(lives)).await)
        }
        Call::ReleaseLease { holder } => {
            format!("{:?}", store.release_lease(&lease(), &LeaseHolder::numbered(holder)).await)
        }
        Call::Revoke { id, updated_at, lives } => {
            let entry = RevocationEntry {
                id: RevocationId::from_bytes([id; RevocationId::BYTES]),
                updated_at: Timestamp::from_unix_millis(updated_at.into()),
                expires_at: lives.map(later),
                sealed: vec![id, b':', 0xff, updated_at],
            };
            let Ok(RevocationList::Entries { generation: seen, .. }) = store.revocations(None).await else {
                return "no list".to_owned();
            };
            let change = RevocationChange { seen, entries: vec![entry], digest: vec![updated_at] };
            format!("{:?}", store.change_revocations(change).await)
        }
        Call::Revocations => match store.revocations(None).await {
            // Generations are random.
            Ok(RevocationList::Entries { mut entries, digest, .. }) => {
                entries.sort_unstable_by_key(|entry| entry.id);
                format!("{entries:?} {digest:?}")
            }
            other => format!("{other:?}"),
        },
        Call::Sweep => format!("{:?}", store.sweep().await),
        Call::Move(seconds) => {
            world.clock.set(shifted(now, seconds));
            String::new()
        }
    }
}

fn lease() -> LeaseKey {
    LeaseKey::from_bytes([5; LeaseKey::BYTES])
}

fn shifted(time: Timestamp, seconds: i16) -> Timestamp {
    let by = Duration::from_secs(u64::from(seconds.unsigned_abs()));
    if seconds < 0 { time.minus(by) } else { time.plus(by) }
}
