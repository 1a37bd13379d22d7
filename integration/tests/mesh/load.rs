//! Requests of several kinds at once, without a pause, while something at the gateway changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis_integration::mesh::{Mesh, NEIGHBOUR, TEAM};
use portcullis_integration::portcullis::HOST;
use portcullis_integration::raw_client::{Response, Target, http1};
use portcullis_integration::visitor::Visitor;
use tokio::task::JoinHandle;

use super::bearer;

/// What every request says that it is.
const FORGED: (&str, &str) = ("kubeflow-userid", "root@example.com");
/// Between two requests of a kind, so that the machine has time for what is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// A request that was answered.
pub(crate) struct Seen {
    status: u16,
    at: Instant,
}

/// Running requests, below `/load/NAME/`.
pub(crate) struct Load {
    name: &'static str,
    stop: Arc<AtomicBool>,
    kinds: Vec<(&'static str, JoinHandle<Vec<Seen>>)>,
}

impl Load {
    /// Begins at a gateway: of whoever has `person`'s cookies, of a token, of nobody, and of nobody who shows something that
    /// is no token.
    pub(crate) async fn start(mesh: &Mesh, gateway: &Target, name: &'static str, person: &Visitor) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let token = bearer(mesh, NEIGHBOUR).await;
        let mut kinds = Vec::new();
        let mut person = person.clone();
        let flag = Arc::clone(&stop);
        let cookie = async move |path: &str| person.request("GET", path, &[FORGED]).await;
        kinds.push(("cookie", tokio::spawn(ask(flag, name, "cookie", cookie))));
        let others = [("token", Some(token)), ("nobody", None), ("basic", Some("Basic cm9vdDpyb290".to_owned()))];
        for (kind, authorization) in others {
            let (flag, gateway) = (Arc::clone(&stop), gateway.clone());
            let request = async move |path: &str| get(&gateway, path, authorization.as_deref()).await;
            kinds.push((kind, tokio::spawn(ask(flag, name, kind, request))));
        }
        Self { name, stop, kinds }
    }

    /// Ends it, and holds what was seen to what must hold at every moment.
    pub(crate) async fn stop(self, mesh: &Mesh) {
        let name = self.name;
        for (kind, seen) in self.stop_at_a_gateway_that_goes(mesh).await {
            let failures: Vec<_> = seen.iter().filter(|seen| seen.status >= 500).map(|seen| seen.at).collect();
            if let [first, .., last] = failures[..] {
                assert!(last - first < Duration::from_secs(5), "{name}: {kind}: 5xx for {:?}", last - first);
            }
        }
    }

    /// Likewise, where nothing may be noticed of what was done meanwhile.
    pub(crate) async fn stop_unnoticed(self, mesh: &Mesh) {
        let name = self.name;
        for (kind, seen) in self.stop_at_a_gateway_that_goes(mesh).await {
            let refused: Vec<_> = seen.iter().map(|seen| seen.status).filter(|status| *status != 200).collect();
            assert!(refused.is_empty() || !matches!(kind, "cookie" | "token"), "{name}: {kind}: {refused:?}");
        }
    }

    /// Likewise, where nobody need be answered any more. Gives what each kind was answered.
    pub(crate) async fn stop_at_a_gateway_that_goes(self, mesh: &Mesh) -> Vec<(&'static str, Vec<Seen>)> {
        self.stop.store(true, Ordering::Relaxed);
        let name = format!("system:serviceaccount:{TEAM}:{NEIGHBOUR}");
        let names = [("cookie", Some("alice@example.com")), ("token", Some(name.as_str()))];
        let mut answered = Vec::new();
        for (kind, requests) in self.kinds {
            let seen = requests.await.unwrap();
            assert!(seen.len() > 3, "{kind}: {} requests are no load", seen.len());
            let wanted = names.iter().find(|(of, _)| *of == kind).and_then(|(_, name)| *name);
            for received in mesh.workload.received_with(&format!("/load/{}/{kind}?", self.name)) {
                let told = received.headers.all(FORGED.0);
                // One true name at every moment, and never none: services take the nameless for many things.
                assert_eq!(told, wanted.into_iter().collect::<Vec<_>>(), "{}: {kind}: {received:?}", self.name);
                assert!(wanted.is_some(), "{}: {kind} reached a service: {received:?}", self.name);
            }
            answered.push((kind, seen));
        }
        answered
    }
}

async fn get(gateway: &Target, path: &str, authorization: Option<&str>) -> anyhow::Result<Response> {
    let mut lines = vec![FORGED];
    lines.extend(authorization.map(|value| ("authorization", value)));
    http1::get(gateway, HOST, path, &lines).await
}

async fn ask(
    stop: Arc<AtomicBool>,
    name: &str,
    kind: &str,
    mut request: impl AsyncFnMut(&str) -> anyhow::Result<Response>,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let answer = request(&format!("/load/{name}/{kind}?{}", seen.len())).await;
        // A connection that is cut off is a failure as well.
        let status = answer.map_or(599, |answer| answer.status);
        seen.push(Seen { status, at: Instant::now() });
        tokio::time::sleep(PAUSE).await;
    }
    seen
}
