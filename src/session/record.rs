//! A session's content, and how it is sealed.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prost::Message as _;

use super::{
    belonging::{Belonging, Belongings},
    login::Login,
    registration::Registration,
    ticket::{Handle, Ticket},
    wire,
};
use crate::{
    clock::Timestamp,
    jose, memory,
    principal::{Email, Groups, ProviderName, User, Userid},
    secret::{KeyId, Label, RootKeyRing, SecretString, UnsealError},
    store::{CLOCK_TOLERANCE, RecordName},
    told::Told,
};

/// The version of the messages that are sealed; a part of what they are sealed for.
const SCHEMA_VERSION: &[u8] = b"portcullis.session.v1";

/// What a provider issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The ID token, for the hint at logout; empty where it is longer than a hint may be.
    pub id_token: SecretString,
    /// The access token, where one is kept.
    pub access_token: Option<SecretString>,
    /// The refresh token, where the provider issued one.
    pub refresh_token: Option<SecretString>,
    /// How long the access token is good, where the provider says so.
    pub access_token_life: Option<AccessTokenLife>,
    /// The nonce of the sign-in: an ID token of a refresh has the same one, or none (OpenID Connect Core section 12.2).
    pub nonce: Option<SecretString>,
}

/// How long an access token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessTokenLife {
    /// Since when.
    pub issued_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// What a refresh changes of a session.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// Who is signed in: the same person, as the provider knows them now.
    pub user: User,
    /// What the provider issued.
    pub tokens: Tokens,
}

/// A session that is to begin.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Who signed in.
    pub user: User,
    /// The origin that the session is for, for example `https://kubeflow.example.com`.
    pub origin: String,
    /// When the exchange of the code began: a logout of the person at this moment or later wins.
    pub login_began_at: Timestamp,
    /// Where the person signs in from.
    pub source: Option<IpAddr>,
    /// Our client id at the issuer, for which all of this was said.
    pub client_id: String,
    /// What the provider issued.
    pub tokens: Tokens,
    /// The provider's session, `sid` (OpenID Connect Front-Channel Logout 1.0 section 3).
    pub provider_session: Option<String>,
    /// How the person was authenticated there.
    pub login: Login,
}

/// An opened session: a ticket of ours was presented for it, and its record opened.
///
/// It holds no token, since it stays in memory for as long as it is used; [`super::Sessions::tokens`] reads them.
#[derive(Debug)]
pub struct Session {
    user: Arc<User>,
    told: Arc<Told>,
    belonging: Arc<Belonging>,
    created_at: Timestamp,
    expires_at: Timestamp,
    version: u64,
    login: Login,
    renewable: Option<AccessTokenLife>,
    source: String,
    handle: Handle,
    name: RecordName,
    key: KeyId,
    last_seen: AtomicU64,
}

impl Session {
    /// Who is signed in.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// The same, for whoever keeps it.
    #[must_use]
    pub const fn shared_user(&self) -> &Arc<User> {
        &self.user
    }

    /// What services were told by this version of the session.
    #[must_use]
    pub const fn told(&self) -> &Arc<Told> {
        &self.told
    }

    /// The same session, which holds what others have in common with it only once.
    #[must_use]
    pub(super) fn sharing(self, with: &Belongings) -> Self {
        Self { belonging: with.shared(self.belonging), ..self }
    }

    /// The same session as it was read before, where it says the same of the same person: what services were told then
    /// may be told again.
    #[must_use]
    pub(super) fn after(self, before: &Self) -> Self {
        let same = self.name == before.name && self.version == before.version && self.user == before.user;
        if same { Self { told: Arc::clone(&before.told), ..self } } else { self }
    }

    /// Whether this is a session of that registration.
    #[must_use]
    pub fn is_of(&self, registration: &Registration) -> bool {
        self.belonging.is_of(registration)
    }

    /// The origin that the session is for.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.belonging.origin
    }

    /// The provider's name, by which the session is found.
    pub(super) fn provider(&self) -> &ProviderName {
        &self.belonging.provider
    }

    /// When the person signed in.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When the session ends at the latest.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The version of its record: counts up, from 1, whenever what the session says of the person changes.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How the person was authenticated at the provider when they signed in.
    #[must_use]
    pub const fn login(&self) -> &Login {
        &self.login
    }

    /// How long the access token is good, where there is a refresh token to get another one with.
    #[must_use]
    pub const fn renewable(&self) -> Option<AccessTokenLife> {
        self.renewable
    }

    /// The session's name for people and logs.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// When the session was last used, as far as this process knows.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.last_seen.load(Ordering::Relaxed))
    }

    /// About how many bytes it takes in memory, shared as it is, without what services were [told](Self::told).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let texts = [&self.source, self.handle.as_str()].map(|text| memory::block(text.len()));
        // As if nobody else had it.
        let belonging = self.belonging.heap_bytes();
        belonging
            + memory::shared::<Self>()
            + memory::shared::<Told>()
            + self.user.heap_bytes()
            + self.login.heap_bytes()
            + texts.iter().sum::<usize>()
    }

    /// The name of its record.
    pub(super) const fn name(&self) -> &RecordName {
        &self.name
    }

    /// The root key that its ticket and record belong to.
    pub(super) const fn key(&self) -> KeyId {
        self.key
    }

    /// Notes that the session is used `now`; whether the last use was `interval` ago, so that it is to be stored. Of
    /// several that ask at once, one is told so. A last use ahead of now is of before the clock stepped back: kept, it
    /// would make the session live on unused for as long as the step was.
    pub(super) fn see(&self, now: Timestamp, interval: Duration) -> bool {
        let seen = self.last_seen.load(Ordering::Relaxed);
        let last_seen = Timestamp::from_unix_millis(seen);
        (now.since(last_seen) >= interval || last_seen > now.plus(CLOCK_TOLERANCE))
            && self.last_seen.compare_exchange(seen, now.as_unix_millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// When the session ends unless it is used.
    pub(super) fn ends_at(&self, idle: Duration) -> Timestamp {
        self.expires_at.min(self.last_seen().plus(idle))
    }

    /// The sealed listing, as of now.
    pub(super) fn seal_listing(&self, ring: &RootKeyRing) -> Vec<u8> {
        let listing = wire::Listing {
            userid: self.user.userid.as_str().to_owned(),
            issuer: self.user.issuer.clone(),
            subject: self.user.subject.clone(),
            source: self.source.clone(),
            created_at_ms: self.created_at.as_unix_millis(),
            last_seen_ms: self.last_seen().as_unix_millis(),
            handle: self.handle.as_str().to_owned(),
        };
        ring.seal(Label::Listing, &listing_is_for(&self.name), &listing.encode_to_vec())
    }
}

/// One session of a list: what may be known of it without its ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionListing {
    /// The name that services know the person by.
    pub userid: Userid,
    /// The provider's issuer identifier.
    pub issuer: String,
    /// The subject identifier at that issuer.
    pub subject: String,
    /// Where the person signed in from: an IP address as text, empty where it is not known.
    pub source: String,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When the session was last used, to the minute.
    pub last_seen: Timestamp,
    /// The session's name for people.
    pub handle: Handle,
}

impl SessionListing {
    /// Opens a listing that a store returned for `name`. One that was planted or moved does not open.
    pub(super) fn open(ring: &RootKeyRing, name: &RecordName, sealed: &[u8]) -> Result<Self, UnsealError> {
        let plain = ring.open(Label::Listing, &listing_is_for(name), sealed)?;
        let listing = wire::Listing::decode(plain.expose()).map_err(|_| UnsealError)?;
        Ok(Self {
            userid: Userid::parse(&listing.userid).map_err(|_| UnsealError)?,
            issuer: listing.issuer,
            subject: listing.subject,
            source: listing.source,
            created_at: Timestamp::from_unix_millis(listing.created_at_ms),
            last_seen: Timestamp::from_unix_millis(listing.last_seen_ms),
            handle: Handle::from_stored(listing.handle),
        })
    }
}

/// Begins a session: its opened form and its sealed record. The ticket is one that this ring issued.
#[expect(clippy::expect_used, reason = "the ticket was issued by this ring a moment ago")]
pub(super) fn begin(
    ring: &RootKeyRing,
    ticket: &Ticket,
    new: NewSession,
    now: Timestamp,
    absolute_lifetime: Duration,
) -> (Session, Vec<u8>) {
    let session = Session {
        belonging: Belonging::of(&new.user, new.origin, Some(new.client_id)),
        user: Arc::new(new.user),
        told: Arc::default(),
        created_at: now,
        expires_at: now.plus(absolute_lifetime),
        version: 1,
        login: new.login,
        renewable: new.tokens.renewable(),
        source: new.source.map(|source| source.to_string()).unwrap_or_default(),
        handle: ticket.handle().clone(),
        name: *ticket.name(),
        key: ticket.key(),
        last_seen: AtomicU64::new(now.as_unix_millis()),
    };
    let sealed = seal(ring, ticket, &session, &new.tokens, new.provider_session)
        .expect("a ticket's key is in the ring that issued it");
    (session, sealed)
}

/// The sealed record of a session that was read, with other tokens. It says nothing else of the person, and so keeps its
/// version.
pub(super) fn with_tokens(
    ring: &RootKeyRing,
    ticket: &Ticket,
    opened: &Opened,
    tokens: &Tokens,
) -> Result<Vec<u8>, UnsealError> {
    seal(ring, ticket, &opened.session, tokens, opened.provider_session.clone())
}

/// The next form of a session that was read: its opened form and its sealed record.
pub(super) fn renew(
    ring: &RootKeyRing,
    ticket: &Ticket,
    opened: &Opened,
    renewal: &Renewal,
) -> Result<(Session, Vec<u8>), UnsealError> {
    let before = &opened.session;
    let session = Session {
        user: Arc::new(renewal.user.clone()),
        told: Arc::default(),
        belonging: Belonging::of(&renewal.user, before.origin().to_owned(), before.belonging.client_id.clone()),
        created_at: before.created_at,
        expires_at: before.expires_at,
        version: before.version.saturating_add(1),
        // A refresh authenticates nobody: what its ID token says of that is not asked (OpenID Connect Core section 12.2).
        login: before.login.clone(),
        renewable: renewal.tokens.renewable(),
        source: before.source.clone(),
        handle: before.handle.clone(),
        name: before.name,
        key: before.key,
        last_seen: AtomicU64::new(before.last_seen.load(Ordering::Relaxed)),
    };
    let sealed = seal(ring, ticket, &session, &renewal.tokens, opened.provider_session.clone())?;
    Ok((session, sealed))
}

impl Tokens {
    fn renewable(&self) -> Option<AccessTokenLife> {
        self.access_token_life.filter(|_| self.refresh_token.is_some())
    }
}

fn seal(
    ring: &RootKeyRing,
    ticket: &Ticket,
    session: &Session,
    tokens: &Tokens,
    provider_session: Option<String>,
) -> Result<Vec<u8>, UnsealError> {
    let text = |secret: &SecretString| secret.expose().to_owned();
    let mut record = wire::Record {
        user: Some(wire::User {
            provider: session.user.provider.as_str().to_owned(),
            issuer: session.user.issuer.clone(),
            subject: session.user.subject.clone(),
            userid: session.user.userid.as_str().to_owned(),
            email: session.user.email.as_ref().map(|email| email.as_str().to_owned()),
            groups: session.user.groups.names().iter().map(|group| group.as_str().to_owned()).collect(),
            groups_dropped: session.user.groups.dropped() as u64,
            groups_incomplete: session.user.groups.is_incomplete(),
        }),
        origin: session.origin().to_owned(),
        created_at_ms: session.created_at.as_unix_millis(),
        expires_at_ms: session.expires_at.as_unix_millis(),
        version: session.version,
        tokens: Some(wire::Tokens {
            id_token: text(&tokens.id_token),
            access_token: tokens.access_token.as_ref().map(text),
            refresh_token: tokens.refresh_token.as_ref().map(text),
            access_token_expires_at_ms: tokens.access_token_life.map(|life| life.expires_at.as_unix_millis()),
            access_token_issued_at_ms: tokens.access_token_life.map(|life| life.issued_at.as_unix_millis()),
            nonce: tokens.nonce.as_ref().map(text),
        }),
        provider_session,
        client_id: session.belonging.client_id.clone(),
        ..wire::Record::default()
    };
    session.login.write(&mut record);
    let plain = zeroize::Zeroizing::new(record.encode_to_vec());
    let is_for = record_is_for(&session.name, session.origin(), &session.user.provider);
    ring.seal_with_secret(ticket.key(), Label::Record, ticket.secret(), &is_for, &plain)
}

/// A record that opened, and what stands beside it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) tokens: Tokens,
    pub(super) provider_session: Option<String>,
}

/// Opens a record that a store returned for the ticket's name. One that was forged, damaged, moved from another name,
/// or made for another origin or provider does not open; nor does one whose listing is not its own.
pub(super) fn open(
    ring: &RootKeyRing,
    ticket: &Ticket,
    origin: &str,
    provider: &ProviderName,
    sealed: &[u8],
    listing: &[u8],
) -> Result<Opened, UnsealError> {
    let is_for = record_is_for(ticket.name(), origin, provider);
    let plain = ring.open_with_secret(Label::Record, ticket.secret(), &is_for, sealed)?;
    let record = wire::Record::decode(plain.expose()).map_err(|_| UnsealError)?;
    let listing = SessionListing::open(ring, ticket.name(), listing)?;
    let login = Login::read(&record);
    let tokens = read_tokens(record.tokens.ok_or(UnsealError)?);
    let user = read_user(record.user.ok_or(UnsealError)?)?;
    let client_id = record.client_id.or_else(|| audience(&tokens.id_token));
    let session = Session {
        belonging: Belonging::of(&user, record.origin, client_id),
        user: Arc::new(user),
        told: Arc::default(),
        created_at: Timestamp::from_unix_millis(record.created_at_ms),
        expires_at: Timestamp::from_unix_millis(record.expires_at_ms),
        version: record.version,
        login,
        renewable: tokens.renewable(),
        source: listing.source,
        handle: ticket.handle().clone(),
        name: *ticket.name(),
        key: ticket.key(),
        last_seen: AtomicU64::new(listing.last_seen.as_unix_millis()),
    };
    Ok(Opened { session, tokens, provider_session: record.provider_session })
}

/// The one audience of an ID token that was verified for us at the sign-in.
fn audience(id_token: &SecretString) -> Option<String> {
    let token = jose::peek(id_token.expose()).ok()?;
    match token.audiences() {
        [audience] => Some(audience.clone()),
        _ => None,
    }
}

fn read_tokens(tokens: wire::Tokens) -> Tokens {
    let life = tokens.access_token_issued_at_ms.zip(tokens.access_token_expires_at_ms);
    Tokens {
        id_token: SecretString::new(tokens.id_token),
        access_token: tokens.access_token.map(SecretString::new),
        refresh_token: tokens.refresh_token.map(SecretString::new),
        access_token_life: life.map(|(issued_at, expires_at)| AccessTokenLife {
            issued_at: Timestamp::from_unix_millis(issued_at),
            expires_at: Timestamp::from_unix_millis(expires_at),
        }),
        nonce: tokens.nonce.map(SecretString::new),
    }
}

/// The person that a record names. Names are parsed again: nothing that a store returns is a name without it.
fn read_user(user: wire::User) -> Result<User, UnsealError> {
    let groups = Groups::from_provider(user.groups.iter().map(String::as_str));
    if groups.dropped() > 0 {
        return Err(UnsealError);
    }
    let groups = groups.with_dropped(usize::try_from(user.groups_dropped).unwrap_or(usize::MAX));
    Ok(User {
        provider: ProviderName::parse(&user.provider).map_err(|_| UnsealError)?,
        issuer: user.issuer,
        subject: user.subject,
        userid: Userid::parse(&user.userid).map_err(|_| UnsealError)?,
        email: user.email.as_deref().map(Email::parse).transpose().map_err(|_| UnsealError)?,
        groups: if user.groups_incomplete { groups.incomplete() } else { groups },
    })
}

fn record_is_for<'a>(name: &'a RecordName, origin: &'a str, provider: &'a ProviderName) -> [&'a [u8]; 4] {
    [name.as_bytes(), origin.as_bytes(), provider.as_str().as_bytes(), SCHEMA_VERSION]
}

fn listing_is_for(name: &RecordName) -> [&[u8]; 2] {
    [name.as_bytes(), SCHEMA_VERSION]
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A record as it was before the client was kept in it.
    pub(in crate::session) fn without_client(ring: &RootKeyRing, ticket: &str, sealed: &[u8]) -> Vec<u8> {
        let ticket = Ticket::parse(ring, ticket).unwrap();
        let provider = ProviderName::parse("dex").unwrap();
        let is_for = record_is_for(ticket.name(), crate::session::testing::ORIGIN, &provider);
        let plain = ring.open_with_secret(Label::Record, ticket.secret(), &is_for, sealed).unwrap();
        let record = wire::Record { client_id: None, ..wire::Record::decode(plain.expose()).unwrap() };
        ring.seal_with_secret(ticket.key(), Label::Record, ticket.secret(), &is_for, &record.encode_to_vec()).unwrap()
    }
}
