//! What services are told of a principal by one credential, kept with that credential for as long as it may be told
//! again: so it ends with it, and every further credential costs as much as the first.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;

use crate::{clock::Timestamp, decision::HeaderText, memory, principal::Method};

/// The most statements of one credential: as many audiences may take turns without one being signed anew each time.
const MOST: usize = 16;

/// What is told by one credential, in the state that it is in. A credential that says something else has another one.
#[derive(Default)]
pub struct Told {
    /// The statements, the latest first.
    statements: ArcSwapOption<Box<[Arc<Statement>]>>,
    bytes: AtomicUsize,
    grew: AtomicBool,
}

/// The headers about a principal, but the method's.
#[derive(Debug)]
pub struct Statement {
    /// The name that services know the principal by.
    pub userid: Option<HeaderText>,
    /// The groups, where they are told.
    pub groups: Option<HeaderText>,
    /// The assertion, where it could be signed.
    pub assertion: Option<HeaderText>,
    /// What it holds for.
    pub terms: Terms,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// Until when it is told again.
    pub fresh_until: Timestamp,
}

/// What a statement depends on, beside the credential and the time: see [`Wanted`], which makes it.
#[derive(Debug)]
pub struct Terms {
    configuration: Arc<Configuration>,
    key: Arc<str>,
    audience: Option<Box<str>>,
    method: Method,
}

/// Stands for a configuration, and equals itself alone.
#[derive(Debug, Default)]
pub struct Configuration(());

/// The [`Terms`] that a statement is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The configuration by which it is made: one and the same, not one that says the same.
    pub configuration: &'a Arc<Configuration>,
    /// The name of the key that signs.
    pub key: &'a Arc<str>,
    /// The audience, where it is not the configured one.
    pub audience: Option<&'a str>,
    /// By which kind of credential.
    pub method: Method,
    /// The time. A statement that is dated ahead of it is of before the clock stepped back.
    pub now: Timestamp,
}

impl Wanted<'_> {
    /// The terms of a statement that is made for this.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            configuration: Arc::clone(self.configuration),
            key: Arc::clone(self.key),
            audience: self.audience.map(Box::from),
            method: self.method,
        }
    }

    /// Whether the statement may be told now, to this audience or another one.
    fn may_be_told(&self, statement: &Statement) -> bool {
        let terms = &statement.terms;
        Arc::ptr_eq(&terms.configuration, self.configuration)
            && terms.key == *self.key
            && statement.issued_at <= self.now
            && self.now < statement.fresh_until
    }

    fn is(&self, statement: &Statement) -> bool {
        let terms = &statement.terms;
        terms.audience.as_deref() == self.audience && terms.method == self.method && self.may_be_told(statement)
    }
}

impl Told {
    /// The statement that is wanted, where it was made already.
    #[must_use]
    pub fn find(&self, wanted: Wanted<'_>) -> Option<Arc<Statement>> {
        let statements = self.statements.load();
        statements.as_deref().into_iter().flatten().find(|statement| wanted.is(statement)).map(Arc::clone)
    }

    /// Keeps a statement that was made for what is wanted, beside those for other audiences.
    pub fn keep(&self, statement: Statement, wanted: Wanted<'_>) -> Arc<Statement> {
        let latest = Arc::new(statement);
        let before = self.statements.load();
        let others = before.as_deref().into_iter().flatten();
        let others = others.filter(|other| !wanted.is(other) && wanted.may_be_told(other)).take(MOST - 1);
        let statements: Box<[_]> = std::iter::once(&latest).chain(others).map(Arc::clone).collect();
        let list = memory::shared::<Box<[Arc<Statement>]>>() + memory::block(size_of_val(&*statements));
        let bytes = list + statements.iter().map(|statement| statement.heap_bytes()).sum::<usize>();
        self.statements.store(Some(Arc::new(statements)));
        self.bytes.store(bytes, Ordering::Relaxed);
        self.grew.store(true, Ordering::Release);
        latest
    }

    /// How many bytes the statements take in memory.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether that has changed since this was asked last: of several that ask, one is told so.
    #[must_use]
    pub fn has_grown(&self) -> bool {
        self.grew.load(Ordering::Acquire) && self.grew.swap(false, Ordering::AcqRel)
    }
}

impl Statement {
    fn heap_bytes(&self) -> usize {
        let headers = [&self.userid, &self.groups, &self.assertion].into_iter().flatten();
        let audience = self.terms.audience.as_ref().map_or(0, |audience| memory::block(audience.len()));
        memory::shared::<Self>() + headers.map(HeaderText::heap_bytes).sum::<usize>() + audience
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Told").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
