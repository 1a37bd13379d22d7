//! The commands of administrators: each is a call to the running process.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    connection::Connection,
    explain::Explain,
    failure::AdministrationError,
    revocations::{RevocationsCommand, Revoke as RevokeTokens},
    table::{self, moment},
};
use crate::admin::{
    ListSessionsRequest, OneSession, ProviderSession, RevokeSessionsRequest, Session, revoke_sessions_request::Target,
    session_service_client::SessionServiceClient,
};

/// How a command of an administrator is told where to go and what to print.
#[derive(Args, Debug)]
pub(super) struct Administration {
    #[command(flatten)]
    connection: Connection,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Output::Table, global = true)]
    output: Output,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// One JSON document.
    Json,
}

/// What an administrator may do.
#[derive(Debug, Subcommand)]
pub(super) enum AdministrationCommand {
    /// The sessions of people.
    Sessions {
        #[command(subcommand)]
        command: SessionsCommand,
        #[command(flatten)]
        administration: Administration,
    },
    /// Refuse ServiceAccount tokens that the API server still accepts.
    Revoke {
        #[command(subcommand)]
        tokens: RevokeTokens,
        #[command(flatten)]
        administration: Administration,
    },
    /// What is revoked of ServiceAccount tokens.
    Revocations {
        #[command(subcommand)]
        command: RevocationsCommand,
        #[command(flatten)]
        administration: Administration,
    },
    /// Tell what a request would be answered, and why: rule, authenticator, reason.
    Explain {
        #[command(flatten)]
        explain: Explain,
        #[command(flatten)]
        administration: Administration,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionsCommand {
    /// List the sessions of a person, the oldest first.
    List {
        /// The name that services know the person by.
        #[arg(long, allow_hyphen_values = true, value_name = "USERID")]
        user: String,
    },
    /// End sessions: one (--session), all of a person (--user), or all of one session at the provider
    /// (--provider-sid).
    Revoke(Revoke),
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct Revoke {
    /// The name that services know the person by.
    #[arg(long, allow_hyphen_values = true, value_name = "USERID")]
    user: Option<String>,
    /// One session: its handle, as lists and logs show it. With --user only where it is that person's.
    #[arg(long, allow_hyphen_values = true, value_name = "HANDLE")]
    session: Option<String>,
    /// The provider's session, `sid`.
    #[arg(long, allow_hyphen_values = true, value_name = "SID", conflicts_with_all = ["user", "session"])]
    provider_sid: Option<String>,
    /// The provider's issuer identifier; each configured provider's where it is not told.
    #[arg(long, allow_hyphen_values = true, value_name = "ISSUER", requires = "provider_sid")]
    issuer: Option<String>,
}

impl AdministrationCommand {
    /// Carries the command out; what is to be printed.
    pub(super) fn run(self) -> Result<String, AdministrationError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match self {
                Self::Sessions { command, administration } => sessions(command, &administration).await,
                Self::Revoke { tokens, administration } => {
                    let (document, text) = tokens.run(administration.connection.open().await?).await?;
                    Ok(administration.print(&document, || text))
                }
                Self::Revocations { command, administration } => {
                    let (document, text) = command.run(administration.connection.open().await?).await?;
                    Ok(administration.print(&document, || text))
                }
                Self::Explain { explain, administration } => {
                    let request = explain.request()?;
                    let answer = explain.ask(administration.connection.open().await?, request).await?;
                    Ok(administration.print(&answer.document(), || answer.table()))
                }
            }
        })
    }
}

impl Administration {
    fn print(&self, document: &Value, table: impl FnOnce() -> String) -> String {
        match self.output {
            Output::Json => format!("{document:#}"),
            Output::Table => table(),
        }
    }
}

async fn sessions(command: SessionsCommand, administration: &Administration) -> Result<String, AdministrationError> {
    let mut client = SessionServiceClient::new(administration.connection.open().await?);
    match command {
        SessionsCommand::List { user } => {
            let answer = client.list_sessions(ListSessionsRequest { userid: user }).await?.into_inner();
            let document = json!({ "sessions": answer.sessions.iter().map(document).collect::<Vec<_>>() });
            Ok(administration.print(&document, || listed(&answer.sessions)))
        }
        SessionsCommand::Revoke(revoke) => {
            let request = RevokeSessionsRequest { target: revoke.target() };
            let ended = client.revoke_sessions(request).await?.into_inner().ended;
            Ok(administration.print(&json!({ "ended": ended }), || match ended {
                1 => "1 session ended".to_owned(),
                ended => format!("{ended} sessions ended"),
            }))
        }
    }
}

impl Revoke {
    fn target(self) -> Option<Target> {
        match self {
            Self { user: userid, session: Some(handle), .. } => Some(Target::Session(OneSession { userid, handle })),
            Self { user: Some(userid), .. } => Some(Target::Userid(userid)),
            Self { provider_sid: Some(sid), issuer, .. } => {
                Some(Target::ProviderSession(ProviderSession { issuer, sid }))
            }
            _ => None,
        }
    }
}

fn document(session: &Session) -> Value {
    json!({
        "handle": session.handle,
        "userid": session.userid,
        "issuer": session.issuer,
        "subject": session.subject,
        "source": session.source,
        "signed_in_at": moment(session.created_at_ms),
        "last_seen_at": moment(session.last_seen_ms),
    })
}

fn listed(sessions: &[Session]) -> String {
    let row = |session: &Session| {
        let from = if session.source.is_empty() { "-" } else { &session.source };
        [
            session.handle.clone(),
            moment(session.created_at_ms),
            moment(session.last_seen_ms),
            from.to_owned(),
            session.issuer.clone(),
        ]
    };
    table::render(["SESSION", "SIGNED IN", "LAST SEEN", "FROM", "PROVIDER"], sessions.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_listed_as_the_snapshot_says() {
        let session = |source: &str| Session {
            handle: "M3cLZ6yT1qk".to_owned(),
            userid: "ada@example.com".to_owned(),
            issuer: "https://dex.example.com/dex".to_owned(),
            subject: "0815".to_owned(),
            source: source.to_owned(),
            created_at_ms: 1_800_000_000_000,
            last_seen_ms: 1_800_000_060_000,
        };
        let sessions = [session("203.0.113.7"), session("")];
        insta::assert_snapshot!("sessions", format!("{}\n\n{:#}", listed(&sessions), document(&sessions[0])));
    }
}
