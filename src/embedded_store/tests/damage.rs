//! A damaged file is told, or it holds exactly what was acknowledged; it never is an empty store or an older one.

use std::{fs, path::PathBuf, sync::Arc};

use redb::{Database, ReadableDatabase as _, TableDefinition};

use super::{Place, open, refused};
use crate::{
    embedded_store::{EmbeddedStore, OpenError as StoreOpenError},
    session::{OpenError, testing::World},
};

/// redb's byte of flags: which of the two commit slots is the latest, and whether the file was closed.
const FLAGS: usize = 9;

/// A store in which some signed in and some of them out, and what its file looked like.
struct Sample {
    place: Place,
    bytes: Vec<u8>,
    signed_in: Vec<String>,
    logged_out: Vec<String>,
}

impl Sample {
    /// The file of a process that closed it, or that was killed.
    async fn new(closed: bool) -> Self {
        let place = Place::new();
        let world = place.open();
        let (mut signed_in, mut logged_out) = (Vec::new(), Vec::new());
        for number in 0..12 {
            signed_in.push(world.sign_in(&format!("stays{number}")).await);
            logged_out.push(world.sign_in(&format!("leaves{number}")).await);
        }
        for ticket in &logged_out {
            assert_eq!(world.sessions.end(ticket).await, Ok(true));
        }
        let killed = fs::read(place.path()).unwrap();
        drop(world);
        let bytes = if closed { fs::read(place.path()).unwrap() } else { killed };
        Self { place, bytes, signed_in, logged_out }
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.place.path();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Opens a damaged copy. Whether the damage was told; where not, everything must be as it was.
    async fn is_told(&self, bytes: &[u8], what: &str) -> bool {
        let path = self.write(bytes);
        let clock = crate::clock::ManualClock::at(crate::session::testing::now());
        let store = match EmbeddedStore::open(&path, clock.clone()) {
            Ok(store) => store,
            Err(error) => {
                assert!(matches!(error, StoreOpenError::Damaged { .. }), "{what}: {error:?}");
                return true;
            }
        };
        let world = World::over_with(&clock, Arc::new(store));
        for ticket in &self.signed_in {
            assert_eq!(open(&world, ticket).await, Ok(()), "{what}: a sign-in was lost");
        }
        for ticket in &self.logged_out {
            assert_eq!(open(&world, ticket).await, Err(OpenError::Ended), "{what}: a logout was lost");
        }
        false
    }
}

#[tokio::test]
async fn a_changed_byte_of_a_closed_file_is_told_or_harmless() {
    let sample = Sample::new(true).await;
    change_bytes(&sample, &[]).await;
}

#[tokio::test]
async fn a_changed_byte_of_a_file_that_was_not_closed_is_told_or_harmless() {
    let sample = Sample::new(false).await;
    // Nothing but the flags says which slot is the latest there: who sets them back takes back the last transaction,
    // as who puts back an older copy of the file does. Neither can be told from the file.
    change_bytes(&sample, &[FLAGS]).await;
}

async fn change_bytes(sample: &Sample, but: &[usize]) {
    // The header; its two commit slots; the pages.
    let header = (0..32).filter(|position| !but.contains(position)).flat_map(|at| [0x01, 0xff].map(|bits| (at, bits)));
    let slots = (64..320).step_by(7).map(|position| (position, 0xff));
    let pages = (320..sample.bytes.len()).step_by(2039).map(|position| (position, 0xff));
    let changes: Vec<_> = header.chain(slots).chain(pages).collect();
    let mut told = 0;
    for &(position, bits) in &changes {
        let mut bytes = sample.bytes.clone();
        bytes[position] ^= bits;
        told += usize::from(sample.is_told(&bytes, &format!("byte {position} by {bits:x}")).await);
    }
    assert!(told > 40, "only {told} of {} were told", changes.len());
}

#[tokio::test]
async fn a_file_that_was_cut_short_or_overwritten_is_told() {
    let sample = Sample::new(true).await;
    for length in [0, 1, 9, 64, 320, 4096, sample.bytes.len() / 2, sample.bytes.len() - 4096, sample.bytes.len() - 1] {
        assert!(sample.is_told(&sample.bytes[..length], &format!("{length} bytes")).await, "{length} bytes");
    }
    assert!(sample.is_told(&vec![0; sample.bytes.len()], "zeros").await);
    assert!(sample.is_told(b"something else", "something else").await);
    assert!(
        sample.is_told(&[sample.bytes[..4096].to_vec(), vec![0; sample.bytes.len() - 4096]].concat(), "body").await
    );
    // As it was, it opens.
    assert!(!sample.is_told(&sample.bytes, "nothing").await);
}

#[tokio::test]
async fn a_refused_file_is_left_as_it_is() {
    let sample = Sample::new(true).await;
    for other in [b"something else".as_slice(), b""] {
        let path = sample.write(other);
        let error = refused(&path);
        assert!(matches!(error, StoreOpenError::Damaged { .. }));
        assert!(error.to_string().contains("sessions.redb"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), other);
    }
}

#[test]
fn a_database_of_another_kind_or_version_is_refused() {
    let place = Place::new();
    drop(place.open());
    let change = |name: &'static str, value: u64| {
        let database = Database::open(place.path()).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert(name, value).unwrap();
        transaction.commit().unwrap();
    };
    change("schema", 2);
    assert!(matches!(place.refused(), StoreOpenError::Schema { found: 2, expected: 1, .. }));
    change("schema", 1);
    drop(place.open());

    fs::remove_file(place.path()).unwrap();
    drop(Database::create(place.path()).unwrap());
    assert!(matches!(place.refused(), StoreOpenError::Damaged { .. }));
    let untouched = Database::open(place.path()).unwrap();
    let tables = untouched.begin_read().unwrap().list_tables().unwrap().count();
    assert_eq!(tables, 0, "the refused file was written");
}

#[test]
fn a_store_of_a_killed_maker_is_made_anew() {
    let place = Place::new();
    let making = place.path().with_extension("redb.new");
    fs::create_dir_all(making.parent().unwrap()).unwrap();
    for left in [Vec::new(), whole_store()] {
        fs::write(&making, left).unwrap();
        drop(place.open());
        assert!(!making.exists());
        fs::remove_file(place.path()).unwrap();
    }
}

/// A store that was made but had not taken its place.
fn whole_store() -> Vec<u8> {
    let place = Place::new();
    drop(place.open());
    fs::read(place.path()).unwrap()
}
