//! The product of a case: built as the process builds it, of the table's configuration, with nobody outside.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use thiserror::Error;

use super::{
    assumed::{AssumedAnswers, AssumedApiServer, AssumedProvider, AssumedToken},
    caller::{Caller, Person},
    form::Review,
    request::Credential,
};
use crate::{
    assembly::{AssembleError, Assembly, Keyrings, Metrics, Outside},
    authz::Mode,
    check::Checker,
    clock::{ManualClock, SharedClock, Timestamp},
    config::{KeySource, Settings},
    jose::AssertionKey,
    key_directory::KeyDirectoryError,
    kubernetes::AccessReviews,
    logging::Log,
    providers::Outbound,
    secret::{KeyRingError, RootKeyRing, SecretBytes, SecretString, random_bytes},
    session::{CreateError, NewSession, Sessions, Tokens},
};

/// What opened sessions may take: a case has one.
const OPEN_BYTES: u64 = 64 * 1024;

/// Why there is no product to ask.
#[derive(Debug, Error)]
pub(super) enum ProductError {
    #[error(transparent)]
    Keys(#[from] KeyDirectoryError),
    #[error(transparent)]
    RootKey(#[from] KeyRingError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error("no session begins: {0}")]
    Session(#[from] CreateError),
}

/// What the products of a table's cases are built of.
pub(super) struct Products {
    settings: Settings,
    keyrings: Keyrings,
    clock: SharedClock,
}

/// The product of one case, with the credential of who sends its request.
pub(super) struct Product {
    pub(super) checker: Arc<Checker>,
    pub(super) credential: Option<Credential>,
    /// What was asked of the API server.
    pub(super) answers: Arc<AssumedAnswers>,
    // Its tasks end with it.
    _assembly: Assembly,
}

impl Products {
    /// Of these settings, at a time that stands still. `with_shadow`: rules in shadow decide, too.
    pub(super) fn new(mut settings: Settings, now: Timestamp, with_shadow: bool) -> Result<Self, ProductError> {
        for provider in &mut settings.providers {
            provider.outbound = Outbound::Given(Arc::new(AssumedProvider::new(provider)));
            // A session of a case has just begun: the provider has nothing newer to say.
            (provider.refresh, provider.strict) = (None, None);
        }
        if let Some(tokens) = &mut settings.service_accounts {
            tokens.verify_signatures = false;
        }
        for rule in settings.rules.rules.iter_mut().filter(|_| with_shadow) {
            rule.mode = Mode::Enforce;
        }
        settings.sessions.open_bytes = OPEN_BYTES;
        settings.keys.source = KeySource::Files {
            root: Arc::new(RootKeyRing::new(&[SecretBytes::new(random_bytes::<32>().to_vec())])?),
            assertion: vec![SecretBytes::new(AssertionKey::generate_pem().expose().as_bytes().to_vec())],
        };
        let clock: SharedClock = ManualClock::at(now);
        let keyrings = Keyrings::open(&settings, &clock)?;
        Ok(Self { settings, keyrings, clock })
    }

    /// A product that knows the caller, and an API server that answers so.
    pub(super) async fn build(&self, caller: &Caller, reviews: &[Review]) -> Result<Product, ProductError> {
        let token = match caller {
            Caller::Account(account) => Some(AssumedToken {
                token: account.token(self.clock.now()),
                audience: account.audience.clone(),
                user: account.reviewed(),
            }),
            Caller::Nobody | Caller::Person(_) => None,
        };
        let bearer = token.as_ref().map(|token| Credential::Bearer(token.token.clone()));
        let answers = Arc::new(AssumedAnswers::new(reviews));
        let outside = Outside {
            access_reviews: Some(Arc::clone(&answers) as Arc<dyn AccessReviews>),
            reviews: Some(Arc::new(AssumedApiServer(token))),
            ..Outside::configured(Arc::clone(&self.clock), Log::nowhere())
        };
        let metrics = Metrics::register(&mut Registry::default());
        let assembly = Assembly::build(&self.settings, &self.keyrings, metrics, outside).await?;
        let credential = match caller {
            Caller::Person(person) => Some(self.sign_in(&assembly.administered().sessions.load_full(), person).await?),
            Caller::Nobody | Caller::Account(_) => bearer,
        };
        Ok(Product { checker: assembly.checker().load_full(), credential, answers, _assembly: assembly })
    }

    async fn sign_in(&self, sessions: &Sessions, person: &Person) -> Result<Credential, ProductError> {
        let new = NewSession {
            user: person.user.clone(),
            origin: person.origin.clone(),
            login_began_at: self.clock.now(),
            source: None,
            client_id: person.client_id.clone(),
            tokens: Tokens {
                id_token: SecretString::new(String::new()),
                access_token: None,
                refresh_token: None,
                access_token_life: None,
                nonce: None,
            },
            provider_session: None,
            login: person.sign_in.login(self.clock.now()),
        };
        let (ticket, _) = sessions.create(new).await?;
        let pair = format!("{}={}", person.session_cookie, ticket.expose());
        Ok(Credential::Cookie { pair, origin: person.origin.clone() })
    }
}
