//! Requests out of bytes: each byte chooses, mostly among what has a meaning to us. So a random input is a request
//! that gets far, and one that a fuzzer changes is a similar one.

use arbitrary::{Result, Unstructured};
use envoy_types::pb::envoy::{
    config::core::v3::{HeaderMap, HeaderValue},
    service::auth::v3::{CheckRequest, attribute_context::HttpRequest},
};

use super::{
    exchange::{Line, message},
    house::{HOST, LOGIN_COOKIE, ORIGINS, SESSION_COOKIE, TICKET, TOKEN},
};

const MOST_LINES: usize = 8;
const MOST_PIECES: usize = 5;

const METHODS: &[&str] = &[
    "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "POST", "POST", "POST", "POST", "HEAD",
    "OPTIONS", "DELETE", "PUT", "get", "",
];
const HOSTS: &[&str] = &[
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    HOST,
    ORIGINS[1].0,
    "KF.Example.com.:443",
    "second.example.com:8443",
    "evil.example",
    "kf.example.com,evil.example",
    "user@kf.example.com",
    "",
];
const PLACES: &[&str] = &[
    "/public/app.css",
    "/public",
    "/hooks/push",
    "/optional/page",
    "/optional/",
    "/closed/x",
    "/admins/users",
    "/robots/api",
    "/cors/api",
    "/cors/",
    "/notebook/team-a/",
    "/",
    "/portcullis/login",
    "/portcullis/logout",
    "/portcullis/callback",
    "/portcullis/whoami",
    "/portcullis/signed-out",
    "/portcullis/none",
    "/logout",
    "/publicity",
];
const TURNS: &[&str] = &[
    "/x",
    "/",
    "/..",
    "/../public",
    "/../admins",
    "/.",
    "/..;/public",
    "%2f",
    "%2e%2e/",
    "%252e%252e%252f",
    "\\",
    "..\\admins",
    ";x=1",
    "%00",
    "%23",
    "%3f",
    "#",
    "!",
    "%",
    "%zz",
    "é",
    "%c3%a9",
    "%c0%af",
    " ",
    "\r\n",
    "PUBLIC",
];
const QUERIES: &[&str] = &[
    "return=/notebook/",
    "return=//evil.example",
    "return=%2f%2fevil.example",
    "return=/%5cevil.example",
    "return=https:evil.example",
    "return=/portcullis/logout",
    "return=a&return=b",
    "code=x&state=y",
    "error=access_denied&state=y",
    "state=y&iss=https://evil.example",
    "a=b?c=/public",
    "",
];
/// Names that are protected, and parts of such.
const PROTECTED: &[&str] = &[
    "kubeflow-userid",
    "kubeflow-groups",
    "auth-method",
    "portcullis-assertion",
    "x-auth-request-user",
    "x-auth-request-",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-original-url",
    "x-http-method-override",
    "userid",
];
const BETWEEN: &[char] = &['-', '_', '.', '~', '!', '+', ' ', 'é', '\u{212a}'];
const COOKIES: &[&str] = &[
    "a=1",
    "__Host-portcullis={ticket}",
    "__Host-portcullis=x",
    "__Host-portcullis-login=x",
    "__Host-portcullis",
    "__host-portcullis=x",
    "b=\"x y\"",
    "c",
    "=d",
    "e=__Host-portcullis",
    " f = g ",
    "h=\u{e4}",
    "i=\u{1}",
    "",
];
const SEPARATORS: &[&str] = &["; ", ";", ",", " ; ", ";;"];
/// Lines that have a meaning to us: each name with some values.
const MEANINGS: &[(&str, &[&str])] = &[
    (
        "authorization",
        &[
            "Bearer {token}",
            "bearer\t{token}",
            "Bearer {token},x",
            "Bearer a.b.c",
            "Bearer x",
            "Basic dTpw",
            "",
            "Bearer {ticket}",
        ],
    ),
    (
        "connection",
        &["keep-alive", "upgrade, kubeflow-userid", "Kubeflow_UserID", "cookie", "close,\tx-auth-request-x"],
    ),
    ("origin", &["https://kf.example.com", "https://evil.example", "null", ""]),
    ("sec-fetch-site", &["same-origin", "none", "cross-site", "same-site", "x"]),
    ("sec-fetch-mode", &["navigate", "cors", "websocket"]),
    ("sec-fetch-dest", &["document", "iframe", "empty"]),
    ("accept", &["text/html", "*/*"]),
    ("content-type", &["application/grpc", "application/grpc+proto", "application/grpc-web", "text/plain"]),
    ("upgrade", &["websocket", "h2c"]),
    ("access-control-request-method", &["PUT"]),
    ("x-request-id", &["request-1", "a b", "\r\nx: y", "é"]),
    ("x-requested-with", &["XMLHttpRequest"]),
    ("sec-purpose", &["prefetch;prerender"]),
    ("service-worker", &["script"]),
    (":path", &["/public"]),
    ("host", &["evil.example"]),
];

/// The request that these bytes choose; where they end, the first choice of each list.
pub(super) fn request(bytes: &[u8]) -> CheckRequest {
    http(&mut Unstructured::new(bytes)).map(message).unwrap_or_default()
}

fn http(choices: &mut Unstructured<'_>) -> Result<HttpRequest> {
    let mut lines = Vec::new();
    for _ in 0..choices.int_in_range(0..=MOST_LINES)? {
        lines.push(line(choices)?);
    }
    if choices.ratio(1, 3)? {
        lines.extend([("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")].map(owned));
    }
    if choices.ratio(1, 4)? {
        lines.push(owned(("sec-fetch-site", "same-origin")));
    }
    match choices.int_in_range(0..=7)? {
        0..3 => lines.push(owned(("cookie", &format!("{SESSION_COOKIE}={TICKET}")))),
        3 => lines.push(owned(("authorization", &format!("Bearer {TOKEN}")))),
        4 => {
            lines.push(owned(("cookie", &format!("theme=dark; {SESSION_COOKIE}={TICKET}; {LOGIN_COOKIE}=x; b=\"2\""))));
        }
        _ => {}
    }
    let mut method = pick(choices, METHODS)?;
    if choices.ratio(1, 10)? {
        method = "OPTIONS";
        lines.extend([("origin", "https://kf.example.com"), ("access-control-request-method", "PUT")].map(owned));
    }
    let request = HttpRequest {
        method: method.into(),
        host: pick(choices, HOSTS)?.into(),
        path: path(choices)?,
        ..HttpRequest::default()
    };
    Ok(if choices.ratio(1, 2)? { joined(request, lines) } else { raw(request, lines) })
}

fn path(choices: &mut Unstructured<'_>) -> Result<String> {
    let mut path = pick(choices, PLACES)?.to_owned();
    if choices.ratio(1, 4)? {
        for _ in 0..choices.int_in_range(1..=MOST_PIECES)? {
            path.push_str(pick(choices, TURNS)?);
        }
    }
    if choices.ratio(1, 4)? {
        path.push('?');
        path.push_str(pick(choices, QUERIES)?);
    }
    Ok(path)
}

fn line(choices: &mut Unstructured<'_>) -> Result<Line> {
    match choices.int_in_range(0..=7)? {
        0..2 => Ok((protected_name(choices)?, "evil".into())),
        2..4 => Ok(("cookie".into(), cookies(choices)?)),
        4..7 => {
            let (name, values) = choices.choose(MEANINGS)?;
            Ok(owned((name, pick(choices, values)?)))
        }
        _ => Ok((choices.arbitrary::<String>()?, choices.arbitrary()?)),
    }
}

/// A protected name in some spelling of it.
fn protected_name(choices: &mut Unstructured<'_>) -> Result<String> {
    let name = pick(choices, PROTECTED)?;
    if choices.ratio(1, 2)? {
        return Ok(name.to_owned());
    }
    let (dash, upper) = (*choices.choose(BETWEEN)?, choices.arbitrary()?);
    let spelled: String = name.chars().map(|next| if next == '-' { dash } else { next }).collect();
    Ok(if upper { spelled.to_ascii_uppercase() } else { spelled })
}

fn cookies(choices: &mut Unstructured<'_>) -> Result<String> {
    let mut line = String::new();
    for at in 0..choices.int_in_range(1..=MOST_PIECES)? {
        if at > 0 {
            line.push_str(pick(choices, SEPARATORS)?);
        }
        line.push_str(pick(choices, COOKIES)?);
    }
    Ok(line)
}

/// Envoy's default: lines of one name joined by a comma, and what is not UTF-8 replaced.
fn joined(mut request: HttpRequest, lines: Vec<Line>) -> HttpRequest {
    for (name, value) in lines {
        let entry = request.headers.entry(name.to_ascii_lowercase()).or_default();
        if !entry.is_empty() {
            entry.push(',');
        }
        entry.push_str(&value);
    }
    request
}

/// Envoy's `encode_raw_headers`.
pub(super) fn raw(request: HttpRequest, lines: Vec<Line>) -> HttpRequest {
    let header = |(key, value): Line| HeaderValue { key, raw_value: value.into_bytes(), ..HeaderValue::default() };
    let headers = lines.into_iter().map(header).collect();
    HttpRequest { header_map: Some(HeaderMap { headers }), ..request }
}

fn pick<'a>(choices: &mut Unstructured<'_>, list: &[&'a str]) -> Result<&'a str> {
    choices.choose(list).copied()
}

fn owned((name, value): (&str, &str)) -> Line {
    (name.to_owned(), value.to_owned())
}
