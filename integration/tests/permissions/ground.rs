//! A real API server with Kubeflow's roles, two teams, and everybody who could come; and Portcullis with the shipped rules.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_integration::check_client::{Answer, Check, CheckClient};
use portcullis_integration::check_visitor::CheckVisitor;
use portcullis_integration::cluster::{Cluster, Controllers, ISSUER, kustomize_with};
use portcullis_integration::patience::until;
use portcullis_integration::portcullis::{Config, HOST, ORIGIN, Portcullis, TOKEN_AUDIENCE};
use portcullis_integration::provider::{Provider, Settings, User};
use portcullis_integration::raw_client::Target;
use portcullis_integration::visitor::Visitor;
use serde_json::{Value, json};

use super::rules::Row;

/// The team that has people. There is another one, `team-b`.
pub(crate) const TEAM: &str = "team-a";
const RULES: &str = "manifests/components/kubeflow-permissions/kubeflow-rules.yaml";
/// What of the manifests an API server without a mesh takes.
const KINDS: [&str; 4] = ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"];

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Nobody,
    /// Signed in, and in no team.
    Stranger,
    Viewer,
    Editor,
    Admin,
    ClusterAdmin,
    /// A token of a ServiceAccount that may look.
    DefaultViewer,
    /// A token of a ServiceAccount that may edit.
    DefaultEditor,
}

impl Who {
    pub(crate) const ALL: [Self; 8] = [
        Self::Nobody,
        Self::DefaultViewer,
        Self::DefaultEditor,
        Self::Stranger,
        Self::Viewer,
        Self::Editor,
        Self::Admin,
        Self::ClusterAdmin,
    ];
    const PEOPLE: [Self; 5] = [Self::Stranger, Self::Viewer, Self::Editor, Self::Admin, Self::ClusterAdmin];
    const ACCOUNTS: [Self; 2] = [Self::DefaultViewer, Self::DefaultEditor];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "",
            Self::Stranger => "stranger",
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::ClusterAdmin => "root",
            Self::DefaultViewer => "default-viewer",
            Self::DefaultEditor => "default-editor",
        }
    }

    /// As services know them.
    pub(crate) fn userid(self) -> String {
        if Self::ACCOUNTS.contains(&self) {
            format!("system:serviceaccount:{TEAM}:{}", self.name())
        } else {
            format!("{}@example.com", self.name())
        }
    }
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Passed,
    /// Refused, for this reason.
    Refused(String),
}

impl Answered {
    fn of(answer: &Answer) -> Self {
        if answer.is_allowed() { Self::Passed } else { Self::Refused(answer.reason().unwrap_or_default()) }
    }
}

/// Everything, running.
pub(crate) struct Ground {
    pub(crate) cluster: Cluster,
    pub(crate) portcullis: Portcullis,
    client: CheckClient,
    visitors: BTreeMap<Who, CheckVisitor>,
    tokens: BTreeMap<Who, String>,
    _provider: Provider,
    _controllers: Controllers,
}

impl Ground {
    pub(crate) async fn start(configure: impl FnOnce(Config) -> Config) -> Self {
        let cluster = Cluster::start().await.unwrap();
        cluster.apply(&manifests().await).await.unwrap();
        let controllers = cluster.kubeflow_roles().await.unwrap();
        for namespace in [TEAM, "team-b", "kubeflow"] {
            cluster.create_namespace(namespace).await.unwrap();
        }
        for (who, role) in [(Who::DefaultViewer, "kubeflow-view"), (Who::DefaultEditor, "kubeflow-edit")] {
            cluster.create_service_account(TEAM, who.name()).await.unwrap();
            let (role, account) = (format!("--clusterrole={role}"), format!("--serviceaccount={TEAM}:{}", who.name()));
            cluster.kubectl(&["create", "rolebinding", who.name(), "-n", TEAM, &role, &account]).await.unwrap();
        }
        let root = format!("--user={}", Who::ClusterAdmin.userid());
        cluster.kubectl(&["create", "clusterrolebinding", "root", "--clusterrole=cluster-admin", &root]).await.unwrap();

        let users = Who::PEOPLE.iter().map(|who| User::new(who.name(), &[])).collect();
        let provider = Provider::start(Settings { users, ..Settings::default() }).await.unwrap();
        let kubeconfig = cluster.kubeconfig_of("portcullis", "portcullis").await.unwrap();
        let accounts = json!({ "audiences": [TOKEN_AUDIENCE], "issuers": [ISSUER], "kubeconfig": kubeconfig });
        let rules = portcullis_integration::project::root().join(RULES);
        let config = Config::new().unwrap().provider(&provider).unwrap();
        let admin = config.folder().join("admin.sock");
        let config = config
            .set("/service_accounts", accounts)
            .set("/access_reviews", json!({}))
            .set("/rules_from", json!([rules]))
            .set("/listeners/admin", json!({ "bind": format!("unix:{}", admin.display()) }));
        let portcullis = configure(config).start().await.unwrap();
        let client = CheckClient::connect(&portcullis.check_address()).await.unwrap();
        let mut ground = Self {
            cluster,
            portcullis,
            client,
            visitors: BTreeMap::new(),
            tokens: BTreeMap::new(),
            _provider: provider,
            _controllers: controllers,
        };
        for (who, role) in [(Who::Viewer, "view"), (Who::Editor, "edit"), (Who::Admin, "admin")] {
            ground.bind(who.name(), &format!("kubeflow-{role}"), &who.userid()).await;
        }
        ground.sign_everybody_in().await;
        ground
    }

    async fn sign_everybody_in(&mut self) {
        for who in Who::PEOPLE {
            let mut visitor = CheckVisitor::new(&self.client, HOST);
            assert!(visitor.sign_in(who.name(), "/").await.unwrap().is_allowed(), "{who:?}");
            self.visitors.insert(who, visitor);
        }
        for who in Who::ACCOUNTS {
            let token = self.cluster.token(TEAM, who.name()).audience(TOKEN_AUDIENCE).issue().await.unwrap();
            self.tokens.insert(who, token);
        }
    }

    /// Gives somebody a role in the team.
    pub(crate) async fn bind(&self, name: &str, role: &str, user: &str) {
        self.bind_in(TEAM, name, role, user).await;
    }

    /// Gives somebody a role in a namespace.
    pub(crate) async fn bind_in(&self, namespace: &str, name: &str, role: &str, user: &str) {
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={user}"));
        self.cluster.kubectl(&["create", "rolebinding", name, "-n", namespace, &role, &user]).await.unwrap();
    }

    /// An account's token.
    pub(crate) fn token(&self, who: Who) -> &str {
        &self.tokens[&who]
    }

    /// What the API server says to an administrator who asks.
    pub(crate) async fn permitted(&self, row: &Row, who: Who) -> bool {
        row.asks.is_empty() || self.cluster.may(&who.userid(), row.asks, row.namespace).await.unwrap()
    }

    pub(crate) fn check(method: &str, target: &str) -> Check {
        Check::new(method, HOST, target)
    }

    /// Asks as a script of a page of ours does, or as a program with a token.
    pub(crate) async fn ask(&self, method: &str, target: &str, who: Who) -> Answered {
        self.send(Self::check(method, target), who).await
    }

    pub(crate) async fn send(&self, check: Check, who: Who) -> Answered {
        Answered::of(&self.answer(check, who).await)
    }

    async fn answer(&self, check: Check, who: Who) -> Answer {
        if let Some(token) = self.tokens.get(&who) {
            return self.client.check(check.header("authorization", format!("Bearer {token}")).build()).await.unwrap();
        }
        let check = check.header("sec-fetch-site", "same-origin").header("sec-fetch-mode", "cors");
        let check = check.header("sec-fetch-dest", "empty").header("origin", format!("https://{HOST}"));
        match self.visitors.get(&who) {
            Some(visitor) => visitor.clone().ask(check).await.unwrap(),
            None => self.client.check(check.build()).await.unwrap(),
        }
    }

    /// The problem document of a refusal.
    pub(crate) async fn refusal(&self, method: &str, target: &str, who: Who) -> Value {
        let answer = self.answer(Self::check(method, target), who).await;
        let Answer::Deny { body, .. } = answer else { panic!("{target}: {answer:?}") };
        serde_json::from_str(&body).unwrap()
    }

    /// The page of a refusal.
    pub(crate) async fn page(&self, target: &str, who: Who) -> String {
        let answer = self.visitors[&who].clone().navigate(target).await.unwrap();
        let Answer::Deny { body, .. } = answer else { panic!("{target}: {answer:?}") };
        body
    }

    /// Somebody who is signed in, at a gateway.
    pub(crate) fn visitor(&self, gateway: Target, who: Who) -> Visitor {
        let mut visitor = Visitor::new(gateway, ORIGIN).unwrap();
        visitor.cookies.clone_from(&self.visitors[&who].cookies);
        visitor
    }

    /// The value of somebody's cookie header.
    pub(crate) fn cookie(&self, who: Who) -> String {
        let pairs = self.visitors[&who].cookies.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.portcullis.config().folder()
    }

    pub(crate) fn admin_address(&self) -> String {
        format!("unix:{}", self.folder().join("admin.sock").display())
    }

    /// The records of shadows, once there are so many.
    pub(crate) async fn told_in_shadow(&self, count: usize) -> Vec<Value> {
        until("what rules in shadow would decide", async || {
            let records = self.portcullis.records().await.unwrap();
            let told: Vec<Value> =
                records.into_iter().filter(|record| record["target"] == "portcullis::shadow").collect();
            (told.len() >= count).then_some(told)
        })
        .await
    }

    /// Waits until a request passes.
    pub(crate) async fn passes_again(&self, target: &str, who: Who) {
        let begun = Instant::now();
        loop {
            let answered = self.ask("GET", target, who).await;
            if answered == Answered::Passed {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{target} as {who:?}: {answered:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Portcullis's account and its rights, of the overlay with the component.
async fn manifests() -> String {
    let built = kustomize_with(|root| {
        json!({
            "resources": [root.join("manifests/overlays/kubeflow/portcullis")],
            "components": [
                root.join("manifests/components/kubeflow-permissions"),
                root.join("manifests/components/kubeflow-watch-role-bindings"),
            ],
        })
    });
    let built = built.await.unwrap();
    assert!(built.contains("kubeflow-rules.yaml: |"), "the component adds its rules:\n{built}");
    let wanted =
        |document: &&str| KINDS.iter().any(|kind| document.lines().any(|line| line == format!("kind: {kind}")));
    let documents: Vec<&str> = built.split("\n---\n").filter(wanted).collect();
    documents.join("\n---\n")
}
