//! Random histories of sign-ins, sign-outs, replays and restarts, held against a model of who may pass.

use portcullis_integration::check_client::CheckClient;
use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::portcullis::{Config, LOGIN_COOKIE, Portcullis, SESSION_COOKIE};
use portcullis_integration::provider::{Provider, Settings};
use portcullis_integration::visitor::{log_in, path_and_query};

use super::ground::goes_to;

const ORIGINS: [&str; 2] = ["one.test", "two.test"];
const USERS: [&str; 2] = ["alice", "bob"];
const BROWSERS: usize = 3;
const STEPS: usize = 300;

/// A ticket that was given out, with what the model says of it.
struct Ticket {
    value: String,
    origin: usize,
    user: &'static str,
    lives: bool,
}

/// Somebody was at the provider, and could come back.
struct Pending {
    origin: usize,
    user: &'static str,
    callback: String,
    /// The login cookie of the browser that began.
    cookie: String,
    /// The ticket that came of it, by its place among all.
    gave: Option<usize>,
}

struct House {
    providers: [Provider; 2],
    portcullis: Portcullis,
    client: CheckClient,
    /// By browser and origin.
    visitors: Vec<[CheckVisitor; 2]>,
    tickets: Vec<Ticket>,
    pending: Vec<Pending>,
    random: fastrand::Rng,
}

#[tokio::test]
async fn in_random_histories_a_ticket_passes_at_its_origin_until_it_ends_and_nowhere_else() {
    let seed = fastrand::u64(..);
    let mut house = House::start(seed).await;
    for step in 0..STEPS {
        let what = house.step().await;
        for _ in 0..3 {
            house.replay_any(&format!("seed {seed}, step {step}: {what}")).await;
        }
    }
    house.every_kind_was_seen(seed).await;
}

impl House {
    async fn start(seed: u64) -> Self {
        let providers = [Provider::start(Settings::default()).await, Provider::start(Settings::default()).await];
        let providers = providers.map(Result::unwrap);
        let config = Config::new().unwrap().providers(ORIGINS.into_iter().zip(&providers)).unwrap();
        let portcullis = config.embedded_store().start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        let visitors = (0..BROWSERS).map(|_| ORIGINS.map(|origin| CheckVisitor::new(&client, origin))).collect();
        let random = fastrand::Rng::with_seed(seed);
        Self { providers, portcullis, client, visitors, tickets: Vec::new(), pending: Vec::new(), random }
    }

    /// One thing happens; what, for messages.
    async fn step(&mut self) -> String {
        let (browser, origin) = (self.random.usize(..BROWSERS), self.random.usize(..2));
        match self.random.u32(..100) {
            0..30 => self.begin(browser, origin).await,
            30..75 if !self.pending.is_empty() => {
                let login = self.random.usize(..self.pending.len());
                self.come_back(browser, login).await
            }
            75..90 => self.log_out(browser, origin).await,
            90..95 => {
                self.visitors[browser][origin].cookies.clear();
                format!("browser {browser} forgets its cookies at {origin}")
            }
            95..97 => self.restart().await,
            _ => "nothing".to_owned(),
        }
    }

    async fn begin(&mut self, browser: usize, origin: usize) -> String {
        let user = *self.random.choice(&USERS).unwrap();
        let visitor = &mut self.visitors[browser][origin];
        let to_provider = visitor.begin_again("/wanted").await.unwrap();
        let callback = path_and_query(&log_in(&to_provider, user).await.unwrap());
        let cookie = visitor.cookies[LOGIN_COOKIE].clone();
        self.pending.push(Pending { origin, user, callback, cookie, gave: None });
        format!("browser {browser} begins to sign in as {user} at {origin}")
    }

    /// A browser opens a callback, its own or another's, for the first time or again.
    async fn come_back(&mut self, browser: usize, login: usize) -> String {
        let Pending { origin, user, ref callback, ref cookie, gave } = self.pending[login];
        let visitor = &mut self.visitors[browser][origin];
        let is_its_own = visitor.cookies.get(LOGIN_COOKIE) == Some(cookie);
        let held = visitor.cookies.get(SESSION_COOKIE).cloned();
        let held = self.tickets.iter().position(|ticket| Some(&ticket.value) == held.as_ref());
        let is_signed_in = held.is_some_and(|held| self.tickets[held].lives);
        let answer = visitor.navigate(callback).await.unwrap();
        let set = answer.told("set-cookie").iter().any(|set| set.starts_with(&format!("{SESSION_COOKIE}=")));
        let what = format!("browser {browser} comes back from login {login} at {origin}: {}", answer.status());
        match gave {
            None if is_its_own => {
                assert!(set && answer.status() == 303, "{what}: nobody is signed in");
                if let Some(held) = held {
                    self.tickets[held].lives = false;
                }
                self.pending[login].gave = Some(self.tickets.len());
                let value = visitor.cookies[SESSION_COOKIE].clone();
                self.tickets.push(Ticket { value, origin, user, lives: true });
            }
            // The same answer for a while: the ticket that was given, whatever became of it.
            Some(gave) if is_its_own && set => {
                assert_eq!(visitor.cookies[SESSION_COOKIE], self.tickets[gave].value, "{what}: another ticket");
            }
            _ => {
                assert!(!set, "{what}: a callback that is not its own, or spent, signed in");
                let expected =
                    if is_signed_in { answer.status() == 303 } else { goes_to(&answer, &self.providers[origin]) };
                assert!(expected, "{what}: signed in before: {is_signed_in}");
            }
        }
        what
    }

    async fn log_out(&mut self, browser: usize, origin: usize) -> String {
        let visitor = &mut self.visitors[browser][origin];
        let held = visitor.cookies.get(SESSION_COOKIE).cloned();
        assert_eq!(visitor.fetch("POST", "/portcullis/logout").await.unwrap().status(), 201);
        for ticket in self.tickets.iter_mut().filter(|ticket| Some(&ticket.value) == held.as_ref()) {
            ticket.lives = false;
        }
        format!("browser {browser} logs out at {origin}")
    }

    /// Killed without a warning: what was acknowledged holds.
    async fn restart(&mut self) -> String {
        self.portcullis.restart().await.unwrap();
        self.client = CheckClient::connect(&self.portcullis.check_address()).await.unwrap();
        for (visitor, origin) in self.visitors.iter_mut().flat_map(|visitors| visitors.iter_mut().zip(ORIGINS)) {
            let cookies = std::mem::take(&mut visitor.cookies);
            *visitor = CheckVisitor::new(&self.client, origin);
            visitor.cookies = cookies;
        }
        "a restart".to_owned()
    }

    /// Presents any ticket of the past at any origin.
    async fn replay_any(&mut self, when: &str) {
        if self.tickets.is_empty() {
            return;
        }
        let (number, origin) = (self.random.usize(..self.tickets.len()), self.random.usize(..2));
        self.replay(number, origin, when).await;
    }

    async fn replay(&self, number: usize, origin: usize, when: &str) {
        let ticket = &self.tickets[number];
        let mut thief = CheckVisitor::new(&self.client, ORIGINS[origin]);
        thief.cookies.insert(SESSION_COOKIE.to_owned(), ticket.value.clone());
        let answer = thief.fetch("GET", "/api").await.unwrap();
        let label = ORIGINS[origin].trim_end_matches(".test");
        let user = format!("{label}:{}@example.com", ticket.user);
        let expected = if ticket.lives && ticket.origin == origin { vec![user.as_str()] } else { Vec::new() };
        let told = (answer.is_allowed(), answer.passed("kubeflow-userid"));
        assert_eq!(
            told,
            (!expected.is_empty(), expected),
            "{when}: ticket {number} at {origin}: {:?}",
            answer.reason()
        );
    }

    /// All tickets once more; and the history was one that shows something.
    async fn every_kind_was_seen(&self, seed: u64) {
        for number in 0..self.tickets.len() {
            for origin in 0..2 {
                self.replay(number, origin, &format!("seed {seed}, at the end")).await;
            }
        }
        let living = self.tickets.iter().filter(|ticket| ticket.lives).count();
        assert!(living > 0 && self.tickets.len() > living + 3, "seed {seed}: {living} of {}", self.tickets.len());
    }
}
