//! Real applications behind a real gateway: whom they open for, and that they read what the gate has read.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portcullis_integration::envoy::Variant;
use portcullis_integration::portcullis::{HOST, ORIGIN};
use portcullis_integration::raw_client::{Response, Target, http1};
use portcullis_integration::visitor::Visitor;
use serde_json::{Value, json};

use super::front::{Front, assert_denied, is_from_behind};
use super::ground::{Ground, TEAM, Who};
use super::jupyterlab::JupyterLab;
use super::katib::{Katib, PAGE};
use super::vectors::VECTORS;

const NOTEBOOK: &str = "/notebook/team-a/nb/";
/// Files of the notebook, and how a browser writes them in a path.
const FILES: &[(&str, &str)] = &[
    ("notes.txt", "notes.txt"),
    ("a b.txt", "a%20b.txt"),
    ("100% done;v=2.txt", "100%25%20done;v=2.txt"),
    ("über.txt", "%C3%BCber.txt"),
    ("a+b (1).txt", "a+b%20(1).txt"),
    ("a#1?.txt", "a%231%3F.txt"),
    ("[x]&y=z@1,2.txt", "%5Bx%5D&y=z@1,2.txt"),
    ("a..b...txt", "a..b...txt"),
];

/// The notebook of a team opens for its editor, its page, its API and its terminal; for the viewer and for strangers nothing
/// of it does, and nothing of what they send arrives.
#[tokio::test]
async fn a_notebook_opens_for_whoever_may_run_code_there() {
    let ground =
        Ground::start(|config| config.set("/access_reviews", json!({ "cache_ttl": "2s", "denied_cache_ttl": "1s" })))
            .await;
    let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let notebook = JupyterLab::start(NOTEBOOK, &names).await;
    let applications = [(NOTEBOOK, notebook.address())];
    let front = Front::start(&ground, Variant::NEWEST, &applications).await;
    let terminal = its_editor_opens_all_of_it(&ground, &front).await;
    others_open_nothing_of_it(&ground, &front, &notebook, &terminal).await;
    the_volume_browser_likewise(&ground, &front).await;

    files_are_found_by_their_names(&ground, &front).await;
    whatever_passes_is_below_the_notebook(&ground, &front, &notebook).await;
    let hardened = Front::start(&ground, Variant::HARDENED, &applications).await;
    files_are_found_by_their_names(&ground, &hardened).await;
    whatever_passes_is_below_the_notebook(&ground, &hardened, &notebook).await;

    who_is_removed_opens_nothing_more(&ground, &front, &terminal).await;
}

fn in_notebook(path: &str) -> String {
    format!("{NOTEBOOK}{path}")
}

/// Gives the path of a terminal.
async fn its_editor_opens_all_of_it(ground: &Ground, front: &Front) -> String {
    let mut editor = front.visitor(ground, Who::Editor);
    let page = editor.navigate(&in_notebook("lab?of=editor")).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text());
    let page = page.text();
    assert!(page.contains("<title>JupyterLab</title>"), "{page}");
    let is_ours = |text: &&str| text.starts_with(&in_notebook("static/")) && text.contains(".js");
    let scripts: BTreeSet<&str> = page.split('"').filter(is_ours).collect();
    assert!(!scripts.is_empty(), "{page}");
    for script in scripts {
        let answer = editor.fetch("GET", script).await.unwrap();
        assert!(answer.status == 200 && answer.body.len() > 100, "{script}: {}", answer.status);
    }
    let status: Value = editor.fetch("GET", &in_notebook("api/status")).await.unwrap().json().unwrap();
    assert!(status["started"].is_string(), "{status}");

    let xsrf = editor.cookies["_xsrf"].clone();
    let lines =
        [("origin", ORIGIN), ("sec-fetch-site", "same-origin"), ("x-xsrftoken", &xsrf), ("content-length", "0")];
    let made = editor.request("POST", &in_notebook("api/terminals"), &lines).await.unwrap();
    let made: Value = made.json().unwrap();
    let terminal = in_notebook(&format!("terminals/websocket/{}", made["name"].as_str().unwrap()));
    let mut socket = match front.open(&editor, &terminal).await {
        Ok(socket) => socket,
        Err(answer) => panic!("{terminal}: {} {}", answer.status, answer.text()),
    };
    assert_eq!(socket.hear().await, r#"["setup", {}]"#);
    // Whoever has this may do what `kubectl exec` does.
    socket.say(r#"["stdin", "echo $((6 * 7))\r"]"#).await;
    let told = async { while !socket.hear().await.contains("42") {} };
    tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
    terminal
}

async fn others_open_nothing_of_it(ground: &Ground, front: &Front, notebook: &JupyterLab, terminal: &str) {
    for who in [Who::Viewer, Who::Stranger] {
        let mut visitor = front.visitor(ground, who);
        let mark = format!("?of={who:?}");
        for path in
            ["lab", "tree", "api/status", "api/contents/notes.txt", "files/notes.txt", "static/favicons/favicon.ico"]
        {
            let path = in_notebook(path) + &mark;
            assert_denied(&visitor.navigate(&path).await.unwrap(), &path);
            assert_denied(&visitor.fetch("GET", &path).await.unwrap(), &path);
            assert_denied(&visitor.fetch("DELETE", &path).await.unwrap(), &path);
        }
        for path in [terminal, &in_notebook("api/events/subscribe"), &in_notebook("api/kernels/1-2/channels")] {
            let path = path.to_owned() + &mark;
            let Err(answer) = front.open(&visitor, &path).await else { panic!("{path} as {who:?} opens") };
            assert_denied(&answer, &path);
        }
    }
    let bearer = format!("Bearer {}", ground.token(Who::DefaultViewer));
    let path = in_notebook("lab?of=DefaultViewer");
    assert_denied(&http1::get(&front.target(), HOST, &path, &[("authorization", &bearer)]).await.unwrap(), &path);

    // What it has answered before the last is told by then.
    let last = in_notebook("api/status?of=last");
    front.visitor(ground, Who::Editor).fetch("GET", &last).await.unwrap();
    notebook.target_with(&last).await;
    let targets = notebook.targets();
    assert!(targets.contains(&in_notebook("lab?of=editor")), "{targets:?}");
    let of_others: Vec<&String> =
        targets.iter().filter(|target| target.contains("of=") && !target.contains("of=editor")).collect();
    assert_eq!(of_others, [&last]);
}

async fn the_volume_browser_likewise(ground: &Ground, front: &Front) {
    let path = "/pvcviewers/team-a/data/api/resources/";
    for who in [Who::Viewer, Who::Stranger] {
        let mut visitor = front.visitor(ground, who);
        assert_denied(&visitor.navigate(path).await.unwrap(), path);
        assert_denied(&visitor.fetch("PATCH", path).await.unwrap(), path);
        let Err(answer) = front.open(&visitor, path).await else { panic!("it opens for {who:?}") };
        assert_denied(&answer, path);
    }
    assert_eq!(front.upstream.received_with("/pvcviewers").len(), 0);
    let mut editor = front.visitor(ground, Who::Editor);
    assert!(editor.navigate(path).await.unwrap().is_from_upstream());
    assert!(front.open(&editor, path).await.is_ok());
    assert_eq!(front.upstream.received_with("/pvcviewers").len(), 2);
}

async fn files_are_found_by_their_names(ground: &Ground, front: &Front) {
    let mut editor = front.visitor(ground, Who::Editor);
    for (name, written) in FILES {
        let told = editor.fetch("GET", &in_notebook(&format!("api/contents/{written}?type=file"))).await.unwrap();
        assert_eq!(told.status, 200, "{written}: {}", told.text());
        assert_eq!(told.json::<Value>().unwrap()["content"], *name, "{written}");
        let file = editor.fetch("GET", &in_notebook(&format!("files/{written}"))).await.unwrap();
        assert_eq!(file.text(), *name, "{written}");
        assert_eq!(
            editor.navigate(&in_notebook(&format!("lab/tree/{written}"))).await.unwrap().status,
            200,
            "{written}"
        );
    }
}

/// Paths in spellings that two readers may read apart.
const PATHS: &[&str] = &[
    "/notebook/team-a/nb",
    "/notebook/team-a/nb?x=/../../team-b/nb/",
    "/notebook/team-a/nb/lab?path=%2e%2e%2f..%2f",
    "/notebook/team-a/nb/../../team-b/nb/lab",
    "/notebook/team-a/nb/%2e%2e/%2e%2e/team-b/nb/lab",
    "/notebook/team-a/nb/%2E./.%2E/team-b/nb/lab",
    "/notebook/team-a/nb/..%2f..%2fteam-b%2fnb%2flab",
    "/notebook/team-a/nb/..%5c..%5cteam-b%5cnb",
    "/notebook/team-a/nb/..;/..;/team-b/nb/lab",
    "/notebook/team-a/nb/..;a=b/..;c=d/team-b/nb/lab",
    "/notebook/team-a/nb/%252e%252e/%252e%252e/team-b/nb/lab",
    "/notebook/team-a/nb/lab;/../../../team-b/nb/lab",
    "/notebook/team-a/nb//lab",
    "/notebook/team-a/nb//team-b/nb/lab",
    "/notebook/team-a/nb/./lab",
    "/notebook/team-a/nb/LAB",
    "/notebook/team-a/nb/lab%2ftree%2fnotes.txt",
    "/notebook/team-a/nb/l%61b",
    "/notebook/team-a/nb/lab;x=1",
    "/notebook/team-a/nb/lab%3fx",
    "/notebook/team-a/nb/lab%23x",
    "/notebook/team-a/nb/lab%00",
    "/notebook/team-a/nb/api/contents/%2e%2e/%2e%2e/etc/passwd",
    "/notebook/team-a/nb/api/contents/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/notebook/team-a/nb/files/%252e%252e/%252e%252e/etc/passwd",
    "/notebook/team-a/nb/files//etc/passwd",
    "/notebook/team-a/nb/proxy/http%3A%2F%2Fteam-b%3A8080/x",
    "/notebook/team-a/nb/http://team-b/nb/lab",
    "//notebook/team-a/nb/lab",
    "/./notebook/team-a/nb/lab",
    "/notebook/./team-a/nb/lab",
    "/notebook//team-a/nb/lab",
    "/x/../notebook/team-a/nb/lab",
    "/%6eotebook/team-a/nb/lab",
    "/notebook/%74eam-a/nb/lab",
    "/notebook/team%2da/nb/lab",
    "/notebook/team-a%2fnb/lab",
    "/notebook/team-a;x/nb/lab",
    "/notebook/team-a/nb;x/lab",
    "/notebook/team-a/nb%20/lab",
    "/notebook/TEAM-A/nb/lab",
    "/NOTEBOOK/team-a/nb/lab",
    "/notebook\\team-a\\nb\\lab",
    "https://kubeflow.example.com/notebook/team-a/nb/lab",
    "http://team-b/notebook/team-b/nb/lab",
    "/notebook/team-a/../team-b/nb/lab",
    "/notebook/team-b/../team-a/nb/lab",
    "/notebook/team-b/nb/../../team-a/nb/lab",
    "/notebook/team-b/nb/..%2f..%2fteam-a/nb/lab",
];

async fn whatever_passes_is_below_the_notebook(ground: &Ground, front: &Front, notebook: &JupyterLab) {
    let mut passed = Vec::new();
    for (number, path) in PATHS.iter().enumerate() {
        let mut editor = front.visitor(ground, Who::Editor);
        let mark = format!("of={:?}.{number}.", front.variant().mode);
        let path = format!("{path}{}{mark}", if path.contains('?') { '&' } else { '?' });
        let Ok(answer) = editor.fetch("GET", &path).await else { continue };
        assert!(!answer.text().contains("root:"), "{path}: {}", answer.text());
        if !is_from_behind(&answer) {
            assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
            continue;
        }
        if let [received] = &front.upstream.received_with(&mark)[..] {
            // No notebook has what lies beside the notebook's folder.
            assert_eq!(received.target.split('?').next(), Some(NOTEBOOK.trim_end_matches('/')), "{path}");
            continue;
        }
        let target = notebook.target_with(&mark).await;
        assert!(target.starts_with(NOTEBOOK), "{path} is {target}");
        passed.push(format!("{} {path}", answer.status));
        // However often somebody decodes it, and whatever he takes for a parameter.
        for reading in readings(&target) {
            assert!(reading.starts_with(NOTEBOOK), "{path}, which arrived as {target}, is {reading}");
        }
    }
    assert!(passed.len() >= 8, "{passed:#?}");
    assert_eq!(front.upstream.received_with("team-b/nb/lab").len(), 0);
}

/// What a path may come to: as it is, and decoded once and twice, with what follows a `;` and without; without dots.
fn readings(target: &str) -> Vec<String> {
    let path = target.split('?').next().unwrap();
    let mut readings = Vec::new();
    let mut decoded = path.to_owned();
    for _ in 0..3 {
        let without: Vec<&str> = decoded.split('/').map(|segment| segment.split(';').next().unwrap()).collect();
        for written in [decoded.clone(), without.join("/"), decoded.replace('\\', "/")] {
            let mut segments = Vec::new();
            for segment in written.split('/') {
                match segment {
                    ".." => drop(segments.pop()),
                    "." => {}
                    other => segments.push(other),
                }
            }
            readings.push(segments.join("/"));
        }
        decoded = percent_decoded(&decoded);
    }
    readings
}

fn percent_decoded(text: &str) -> String {
    // A `+` is a plus in a path.
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes()).next().unwrap().1.into_owned()
}

async fn who_is_removed_opens_nothing_more(ground: &Ground, front: &Front, terminal: &str) {
    let editor = front.visitor(ground, Who::Editor);
    assert!(front.open(&editor, terminal).await.is_ok());
    ground.cluster.kubectl(&["delete", "rolebinding", "editor", "-n", TEAM]).await.unwrap();
    let removed = Instant::now();
    let refused = loop {
        match front.open(&editor, terminal).await {
            Ok(_) => assert!(removed.elapsed() < Duration::from_secs(10), "it still opens"),
            Err(answer) => break answer,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_denied(&refused, terminal);
}

/// The attack table through the gateway: nothing of it arrives anywhere.
pub(crate) async fn nothing_of_the_attack_table_arrives(ground: &Ground) {
    for variant in [Variant::NEWEST, Variant::HARDENED] {
        let front = Front::start(ground, variant, &[]).await;
        for vector in VECTORS {
            let mut lines = vec![("origin", ORIGIN), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
            lines.extend(vector.lines);
            let mut editor = front.visitor(ground, Who::Editor);
            let answer = editor.request(vector.method, vector.target, &lines).await.unwrap();
            let what = format!("{} {}: {}", vector.method, vector.target, answer.status);
            assert!((400..500).contains(&answer.status), "{what}");
            assert!(!is_from_behind(&answer), "{what}");
        }
        assert_eq!(front.upstream.received().len(), 0);
    }
}

/// Queries in spellings that two readers may read apart; `{a}` and `{b}` stand for the teams.
const QUERIES: &[&str] = &[
    "namespace={a}",
    "namespace={a}&namespace={b}",
    "namespace={a}&namespace={a}",
    "%6eamespace={a}",
    "namespace={a}&%6eamespace={b}",
    "%6eamespace={b}&namespace={a}",
    "namespace={a};namespace={b}",
    "namespace={a};&namespace={b}",
    "namespace={a};x&namespace={b}",
    "x;namespace={a}&namespace={b}",
    "namespace={a}%3b&namespace={b}",
    "namespace={a}%zz&namespace={b}",
    "namespace%zz={a}&namespace={b}",
    "namespace={a}&namespace={b}%zz",
    "namespace={a}%&namespace={b}",
    "x=%zz&namespace={a}",
    "x=%zz;&namespace={a}",
    "Namespace={a}",
    "Namespace={a}&namespace={b}",
    "NAMESPACE={b}&namespace={a}",
    "namespace",
    "namespace=",
    "namespace=&namespace={a}",
    "namespace&namespace={a}",
    "namespace={a}&namespace=",
    "namespace[]={a}",
    "namespace[]={a}&namespace={b}",
    "namespace%5b%5D={b}&namespace={a}",
    "namespace[0]={a}&namespace={b}",
    "namespace={encoded}",
    "namespace={a}%20",
    "namespace=+{a}",
    "namespace={a}+",
    "namespace={a}%00",
    "namespace={a}%00{b}",
    "namespace={a}%0a",
    "namespace={a},{b}",
    "namespace={a}/{b}",
    "namespace={a}%2f{b}",
    "namespace={a}%2f..%2f{b}",
    "namespace={a}%26namespace={b}",
    "namespace={a}%26namespace%3d{b}",
    "namespace=={a}",
    "namespace={a}={b}",
    "&&namespace={a}&",
    "=&namespace={a}",
    "?namespace={a}",
    "?namespace={a}&namespace={b}",
    "x?namespace={a}&namespace={b}",
    "namespace={a}?namespace={b}",
    "+namespace={a}",
    "%20namespace={a}&namespace={b}",
    "namespace+={a}&namespace={b}",
    "namespace%20={a}&namespace={b}",
    "namespace%00={a}&namespace={b}",
    "%256eamespace={a}&namespace={b}",
    "namespace={twice}",
    "name%73pace={a}&namespac%65={b}",
    "namespace.={a}&namespace={b}",
    "namespace%EF%BC%9d{a}&namespace={b}",
    "namespace={a}#namespace={b}",
    "namespace={a}&x=#&namespace={b}",
];

/// Ways of writing the path of what Katib itself guards for nobody.
const KATIB_PATHS: &[&str] = &[
    "/katib/fetch_nas_job_info/",
    "/katib/fetch_nas_job_info",
    "/katib/fetch_nas_job_info/x",
    "/katib/fetch_nas_job_info//",
    "/katib//fetch_nas_job_info/",
    "//katib/fetch_nas_job_info/",
    "/katib/./fetch_nas_job_info/",
    "/katib/x/../fetch_nas_job_info/",
    "/katib/%2e/fetch_nas_job_info/",
    "/katib/x/%2e%2e/fetch_nas_job_info/",
    "/katib/%66etch_nas_job_info/",
    "/katib/fetch%5fnas%5Fjob%5finfo/",
    "/katib/fetch_nas_job_info%2f",
    "/katib%2ffetch_nas_job_info/",
    "/katib/fetch_nas_job_info;x/",
    "/katib/fetch_nas_job_info/;x",
    "/katib/;x/fetch_nas_job_info/",
    "/katib/fetch_nas_job_info/%3f",
    "/katib/fetch_nas_job_info/%00",
    "/katib/fetch_nas_job_info%20/",
    "/katib/FETCH_NAS_JOB_INFO/",
    "/KATIB/fetch_nas_job_info/",
    "/katib\\fetch_nas_job_info/",
    "/katib/static/../fetch_nas_job_info/",
    "/katib/static/%2e%2e/fetch_nas_job_info/",
    "http://kubeflow.example.com/katib/fetch_nas_job_info/",
];

/// A real application of Kubeflow's: it asks Kubernetes about the name that the gate wrote, and reads the namespace that the
/// gate has read.
#[tokio::test]
async fn katib_answers_about_the_namespace_that_the_gate_asked_about() {
    let ground = Ground::start(|config| config).await;
    let neighbour = Who::Stranger;
    ground.bind_in("team-b", "neighbour", "kubeflow-view", &neighbour.userid()).await;
    let katib = Katib::start(&ground.cluster, &[TEAM, "team-b"]).await;
    let front = Front::start(&ground, Variant::NEWEST, &[("/katib/", katib.address())]).await;

    let mut viewer = front.visitor(&ground, Who::Viewer);
    let page = viewer.navigate("/katib/").await.unwrap();
    assert_eq!((page.status, page.text().as_str()), (200, PAGE));
    assert_eq!(viewer.fetch("GET", "/katib/static/main.js").await.unwrap().text(), "// a script");

    it_lists_what_whoever_asks_may_list(&ground, &front).await;
    what_it_guards_for_nobody_the_gate_guards(&ground, &front, &katib).await;
    let mut people = [(TEAM, front.visitor(&ground, Who::Viewer)), ("team-b", front.visitor(&ground, neighbour))];
    its_reading_is_the_gate_s(&mut people, &Target::plain(katib.address())).await;
}

fn experiments_of(namespace: &str) -> String {
    format!("/katib/fetch_experiments/?namespace={namespace}")
}

fn trials_of(namespace: &str) -> String {
    format!("/katib/fetch_nas_job_info/?experimentName=search&namespace={namespace}")
}

/// The teams of whose things an answer tells.
fn teams_in(answer: &Response) -> Vec<&'static str> {
    let text = answer.text();
    [TEAM, "team-b"].into_iter().filter(|team| text.contains(&format!("-of-{team}\""))).collect()
}

async fn it_lists_what_whoever_asks_may_list(ground: &Ground, front: &Front) {
    for who in [Who::Viewer, Who::Editor, Who::Admin] {
        let mut visitor = front.visitor(ground, who);
        let listed = visitor.fetch("GET", &experiments_of(TEAM)).await.unwrap();
        assert_eq!((listed.status, teams_in(&listed)), (200, vec![TEAM]), "{who:?}: {}", listed.text());
        // It is Katib that refuses: the rule tells only.
        let refused = visitor.fetch("GET", &experiments_of("team-b")).await.unwrap();
        let sentence = format!("User: {} is not authorized to list", who.userid());
        assert!(refused.status == 403 && refused.text().starts_with(&sentence), "{who:?}: {}", refused.text());
        assert!(is_from_behind(&refused));
    }
    let bearer = format!("Bearer {}", ground.token(Who::DefaultEditor));
    let lines = [("authorization", bearer.as_str())];
    let listed = http1::get(&front.target(), HOST, &experiments_of(TEAM), &lines).await.unwrap();
    assert_eq!((listed.status, teams_in(&listed)), (200, vec![TEAM]), "{}", listed.text());
    let refused = http1::get(&front.target(), HOST, &experiments_of("team-b"), &lines).await.unwrap();
    let sentence = format!("User: {} is not authorized to list", Who::DefaultEditor.userid());
    assert!(refused.status == 403 && refused.text().starts_with(&sentence), "{}", refused.text());

    // The name of somebody who may is not believed from outside, in no spelling.
    let root = Who::ClusterAdmin.userid();
    for name in ["kubeflow-userid", "Kubeflow-UserID", "kubeflow_userid", "KUBEFLOW_USERID"] {
        let mut viewer = front.visitor(ground, Who::Viewer);
        let lines = [("origin", ORIGIN), ("sec-fetch-site", "same-origin"), (name, root.as_str())];
        let refused = viewer.request("GET", &experiments_of("team-b"), &lines).await.unwrap();
        assert!(teams_in(&refused).is_empty() && (400..500).contains(&refused.status), "{name}: {}", refused.text());
    }
}

async fn what_it_guards_for_nobody_the_gate_guards(ground: &Ground, front: &Front, katib: &Katib) {
    // Without the gate, it tells anybody.
    let direct = http1::get(&Target::plain(katib.address()), HOST, &trials_of("team-b"), &[]).await.unwrap();
    assert_eq!((direct.status, teams_in(&direct)), (200, vec!["team-b"]), "{}", direct.text());

    let mut viewer = front.visitor(ground, Who::Viewer);
    let told = viewer.fetch("GET", &trials_of(TEAM)).await.unwrap();
    assert_eq!((told.status, teams_in(&told)), (200, vec![TEAM]), "{}", told.text());
    for who in [Who::Viewer, Who::Editor, Who::Admin] {
        let refused = front.visitor(ground, who).fetch("GET", &trials_of("team-b")).await.unwrap();
        assert_denied(&refused, "another team's");
    }
    // What it would read of a form, it does not.
    let told = viewer.submit(&trials_of(TEAM), "namespace=team-b").await.unwrap();
    assert_eq!(teams_in(&told), [TEAM], "{}", told.text());
}

async fn its_reading_is_the_gate_s(people: &mut [(&str, Visitor); 2], katib: &Target) {
    let mut read = BTreeSet::new();
    for spelling in QUERIES {
        for (first, second) in [(TEAM, "team-b"), ("team-b", TEAM)] {
            let encoded = format!("%74{}", &first[1..]);
            let query = spelling.replace("{encoded}", &encoded).replace("{twice}", &encoded.replace('%', "%25"));
            let query = query.replace("{a}", first).replace("{b}", second);
            let target = format!("/katib/fetch_nas_job_info/?experimentName=search&{query}");
            // Where it finds no namespace, it hangs up.
            let direct =
                http1::get(katib, HOST, &target, &[]).await.map(|answer| teams_in(&answer)).unwrap_or_default();
            for (own, visitor) in people.iter_mut() {
                let answer = visitor.fetch("GET", &target).await.unwrap();
                let teams = teams_in(&answer);
                assert!(teams.iter().all(|team| team == own), "{query} as one of {own} tells of {teams:?}");
                assert!(
                    !is_from_behind(&answer) || teams == direct,
                    "{query} as one of {own}: {teams:?}, and {direct:?}"
                );
                if !teams.is_empty() {
                    read.insert(*spelling);
                }
                let listed = visitor.fetch("GET", &format!("/katib/fetch_experiments/?{query}")).await.unwrap();
                assert!(teams_in(&listed).iter().all(|team| team == own), "{query} as one of {own}: {}", listed.text());
            }
        }
    }
    assert!(read.len() >= 12, "{read:#?}");
    let (_, viewer) = &mut people[0];
    let mut reached = Vec::new();
    for path in KATIB_PATHS {
        let target = format!("{path}?experimentName=search&namespace=team-b");
        if http1::get(katib, HOST, &target, &[]).await.is_ok_and(|answer| teams_in(&answer) == ["team-b"]) {
            reached.push(*path);
        }
        for method in ["GET", "POST", "PUT", "OPTIONS", "HEAD"] {
            let Ok(answer) = viewer.fetch(method, &target).await else { continue };
            assert!(teams_in(&answer).is_empty(), "{method} {path}: {}", answer.text());
        }
    }
    assert!(reached.len() >= 8, "without the gate, these lead there: {reached:?}");
}
