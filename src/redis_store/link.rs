//! One pair of connections to the primary, found, checked and made ready.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue as _, IntoConnectionInfo as _, ProtocolVersion,
    PushInfo, RedisConnectionInfo, RedisError, TlsCertificates, Value, aio::MultiplexedConnection,
};
use thiserror::Error;

use super::{
    config::{RedisAddress, RedisConfig, RedisServers},
    failure::is_refusal,
    replicas::Replicas,
    steps::Steps,
};
use crate::secret::SecretString;

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    /// Waiting mends nothing: somebody has to change the configuration or the server.
    #[error("{0}")]
    Refused(String),
    /// Nobody answers, or not yet.
    #[error("{0}")]
    Unreachable(String),
}

impl LinkError {
    fn of(address: &RedisAddress, error: &RedisError) -> Self {
        let text = format!("{address}: {error}");
        if is_refusal(error) { Self::Refused(text) } else { Self::Unreachable(text) }
    }
}

/// The connections to a primary. Both are dropped where one fails.
#[derive(Debug)]
pub(super) struct Link {
    /// Reads, and hears of changes: what it reads and what it hears come in the server's order.
    pub(super) reader: MultiplexedConnection,
    /// Writes, and waits for the server's replicas to have it, which holds up what comes behind.
    pub(super) writer: MultiplexedConnection,
    /// The digest under which the server knows our steps.
    pub(super) script: String,
    /// The primary.
    pub(super) address: RedisAddress,
    replicas: Replicas,
}

impl Link {
    /// Connects to the primary, at this time of the clock that never steps back. `pushed` hears what the server says by
    /// itself on the reading connection.
    pub(super) async fn connect<F>(
        config: &RedisConfig,
        steps: &Steps,
        at: Duration,
        pushed: F,
    ) -> Result<Self, LinkError>
    where
        F: Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static,
    {
        // The client of Redis asks for the process's provider; another one that was chosen earlier stays.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let connector = Connector::new(config)?;
        let address = connector.find_primary().await?;
        let failed = |error: RedisError| LinkError::of(&address, &error);
        let client = connector.client(&address, Who::Server)?;
        let options = connector.options().set_push_sender(Arc::new(pushed));
        let mut reader = client.get_multiplexed_async_connection_with_config(&options).await.map_err(failed)?;
        let mut writer =
            client.get_multiplexed_async_connection_with_config(&connector.options()).await.map_err(failed)?;
        refuse_eviction(&address, &mut reader).await?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(steps.record_prefix()).arg("NOLOOP");
        tracking.exec_async(&mut reader).await.map_err(failed)?;
        let mut load = redis::cmd("SCRIPT");
        let script = load.arg("LOAD").arg(steps.source()).query_async(&mut writer).await.map_err(failed)?;
        let replicas = Replicas::of(&config.servers);
        replicas.note_named(at);
        let link = Self { reader, writer, script, address: address.clone(), replicas };
        link.check(at).await?;
        Ok(link)
    }

    /// Whom the sentinels name as the primary at this moment; nobody where there are none.
    pub(super) async fn named_by_sentinels(config: &RedisConfig) -> Result<Option<RedisAddress>, LinkError> {
        match &config.servers {
            RedisServers::Sentinel { sentinels, .. } => {
                Connector::new(config)?.ask_sentinels(sentinels).await.map(Some)
            }
            RedisServers::Standalone(_) | RedisServers::Cluster(_) => Ok(None),
        }
    }

    /// Asks whether the server is there and still the primary, and notes how many replicas it has at this time.
    pub(super) async fn check(&self, at: Duration) -> Result<(), LinkError> {
        let mut reader = self.reader.clone();
        let role: Vec<Value> =
            redis::cmd("ROLE").query_async(&mut reader).await.map_err(|error| LinkError::of(&self.address, &error))?;
        match role.as_slice() {
            [Value::BulkString(role), _, Value::Array(replicas), ..] if role == b"master" => {
                self.replicas.note(u32::try_from(replicas.len()).unwrap_or(u32::MAX), at);
                Ok(())
            }
            _ => Err(LinkError::Unreachable(format!("{}: this is not a primary", self.address))),
        }
    }

    /// The sentinels, asked at that time, named this primary.
    pub(super) fn note_named(&self, at: Duration) {
        self.replicas.note_named(at);
    }

    /// How many replicas the primary has.
    pub(super) fn replicas(&self) -> u32 {
        self.replicas.count()
    }
}

/// A server that is full must say so: one that forgets sessions instead would also forget logouts.
async fn refuse_eviction(address: &RedisAddress, connection: &mut MultiplexedConnection) -> Result<(), LinkError> {
    let mut info = redis::cmd("INFO");
    let info: String =
        info.arg("memory").query_async(connection).await.map_err(|error| LinkError::of(address, &error))?;
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).map(str::trim);
    match policy {
        Some("noeviction") => Ok(()),
        policy => Err(LinkError::Refused(format!(
            "{address}: its maxmemory-policy is `{}`, so a full server would forget logouts and revocations; set \
             `maxmemory-policy noeviction`",
            policy.unwrap_or("unknown")
        ))),
    }
}

#[derive(Clone, Copy)]
enum Who {
    Server,
    Sentinel,
}

/// What is needed to connect, read from its files anew.
struct Connector<'a> {
    config: &'a RedisConfig,
    password: Option<SecretString>,
    sentinel_password: Option<SecretString>,
    ca: Option<Vec<u8>>,
}

impl<'a> Connector<'a> {
    fn new(config: &'a RedisConfig) -> Result<Self, LinkError> {
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|error| LinkError::Refused(format!("{}: {error}", path.display())))
        };
        let password = |path: &std::path::PathBuf| {
            let text = String::from_utf8(read(path)?)
                .map_err(|_| LinkError::Refused(format!("{}: the password is no UTF-8 text", path.display())))?;
            match text.trim_end_matches(['\r', '\n']) {
                "" => Err(LinkError::Refused(format!("{}: there is no password in it", path.display()))),
                text => Ok(SecretString::new(text.to_owned())),
            }
        };
        let sentinel = match &config.servers {
            RedisServers::Sentinel { password_file, .. } => password_file.as_ref(),
            RedisServers::Standalone(_) | RedisServers::Cluster(_) => None,
        };
        let ca = config.tls.as_ref().and_then(|tls| tls.ca_file.as_ref());
        Ok(Self {
            config,
            password: config.password_file.as_ref().map(password).transpose()?,
            sentinel_password: sentinel.map(password).transpose()?,
            ca: ca.map(read).transpose()?,
        })
    }

    fn options(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.config.timeout))
            .set_response_timeout(Some(self.config.timeout))
    }

    fn client(&self, address: &RedisAddress, who: Who) -> Result<Client, LinkError> {
        let invalid = |error: RedisError| LinkError::Refused(format!("{address}: {error}"));
        let (host, port) = (address.host.clone(), address.port);
        let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        let (username, password) = match who {
            Who::Server => (self.config.username.as_ref(), self.password.as_ref()),
            Who::Sentinel => (None, self.sentinel_password.as_ref()),
        };
        if let Some(username) = username {
            settings = settings.set_username(username);
        }
        if let Some(password) = password {
            settings = settings.set_password(password.expose());
        }
        let connect_to = |address: ConnectionAddr| {
            address.into_connection_info().map(|info| info.set_redis_settings(settings.clone())).map_err(invalid)
        };
        if self.config.tls.is_none() {
            return Client::open(connect_to(ConnectionAddr::Tcp(host, port))?).map_err(invalid);
        }
        let address = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
        let certificates = TlsCertificates { client_tls: None, root_cert: self.ca.clone() };
        Client::build_with_tls(connect_to(address)?, certificates).map_err(invalid)
    }

    /// The address of the primary that has our keys.
    async fn find_primary(&self) -> Result<RedisAddress, LinkError> {
        let nodes = match &self.config.servers {
            RedisServers::Standalone(address) => return Ok(address.clone()),
            RedisServers::Sentinel { sentinels, .. } => return self.ask_sentinels(sentinels).await,
            RedisServers::Cluster(nodes) => nodes,
        };
        let mut failure = LinkError::Unreachable("no server is named".to_owned());
        for node in nodes {
            match self.ask_for_primary(node, Who::Server).await {
                Ok(primary) => return Ok(primary),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The address that at least half of the sentinels name, and more of them than any other: one that is cut off from
    /// the others still names the primary of before.
    async fn ask_sentinels(&self, sentinels: &[RedisAddress]) -> Result<RedisAddress, LinkError> {
        let asked = sentinels.iter().map(|sentinel| async move {
            let asked = tokio::time::timeout(self.config.timeout, self.ask_for_primary(sentinel, Who::Sentinel));
            let late = |_| LinkError::Unreachable(format!("{sentinel}: it does not answer"));
            asked.await.map_err(late)?
        });
        let (mut named, mut failure) = (BTreeMap::<(String, u16), usize>::new(), None);
        for answer in join_all(asked).await {
            match answer {
                Ok(RedisAddress { host, port }) => *named.entry((host, port)).or_default() += 1,
                // One that turns us away says more than one that does not answer.
                Err(error) if matches!(failure, Some(LinkError::Refused(_))) => drop(error),
                Err(error) => failure = Some(error),
            }
        }
        let mut by_voices: Vec<_> = named.into_iter().map(|(address, voices)| (voices, address)).collect();
        by_voices.sort_unstable_by(|one, other| other.cmp(one));
        let others = by_voices.get(1).map_or(0, |(voices, _)| *voices);
        match by_voices.into_iter().next() {
            Some((voices, (host, port))) if voices >= sentinels.len().div_ceil(2) && voices > others => {
                Ok(RedisAddress { host, port })
            }
            Some((voices, _)) => Err(LinkError::Unreachable(format!(
                "the sentinels do not agree on a primary: {voices} of {} name the same{}",
                sentinels.len(),
                failure.map_or_else(String::new, |failure| format!("; {failure}")),
            ))),
            None => Err(failure.unwrap_or_else(|| LinkError::Unreachable("no sentinel is named".to_owned()))),
        }
    }

    async fn ask_for_primary(&self, server: &RedisAddress, who: Who) -> Result<RedisAddress, LinkError> {
        let failed = |error: RedisError| LinkError::of(server, &error);
        let client = self.client(server, who)?;
        let mut connection =
            client.get_multiplexed_async_connection_with_config(&self.options()).await.map_err(failed)?;
        let unknown = |what: &str| LinkError::Unreachable(format!("{server}: {what}"));
        if let RedisServers::Sentinel { name, .. } = &self.config.servers {
            let mut ask = redis::cmd("SENTINEL");
            let found: Option<(String, u16)> =
                ask.arg("get-master-addr-by-name").arg(name).query_async(&mut connection).await.map_err(failed)?;
            let (host, port) = found.ok_or_else(|| unknown(&format!("it knows no primary named `{name}`")))?;
            return Ok(RedisAddress { host, port });
        }
        let ask = |arguments: [&str; 2]| {
            let mut ask: Cmd = redis::cmd("CLUSTER");
            arguments.iter().filter(|argument| !argument.is_empty()).for_each(|argument| {
                ask.arg(*argument);
            });
            ask
        };
        let tag = format!("{{{}}}:", self.config.prefix);
        let slot: i64 = ask(["KEYSLOT", &tag]).query_async(&mut connection).await.map_err(failed)?;
        let slots: Vec<Value> = ask(["SLOTS", ""]).query_async(&mut connection).await.map_err(failed)?;
        slots
            .iter()
            .find_map(|range| primary_of(range, slot, server))
            .ok_or_else(|| unknown(&format!("no primary of the cluster has slot {slot}")))
    }
}

/// The primary of a range of slots, where `slot` is in it: (first, last, (host, port, …), replicas…).
fn primary_of(range: &Value, slot: i64, asked: &RedisAddress) -> Option<RedisAddress> {
    let Value::Array(range) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = range.as_slice() else { return None };
    if !(*first..=*last).contains(&slot) {
        return None;
    }
    let [host, port, ..] = primary.as_slice() else { return None };
    // No host means the one that was asked.
    let host = Option::<String>::from_redis_value_ref(host).ok()?.filter(|host| !host.is_empty() && host != "?");
    let port = u16::from_redis_value_ref(port).ok()?;
    Some(RedisAddress { host: host.unwrap_or_else(|| asked.host.clone()), port })
}
