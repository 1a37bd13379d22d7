//! The page on which a user is chosen. It works without JavaScript.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::settings::User;

const STYLE: &str = include_str!("login.css");

/// The page for an authorization request, which its form carries on.
pub(super) fn render(users: &[User], request: &HashMap<String, String>) -> String {
    page(users, request, "")
}

/// The same page after a name that nobody has.
pub(super) fn render_unknown(users: &[User], request: &HashMap<String, String>, name: &str) -> String {
    let notice = format!("<p class=\"notice\" role=\"alert\">Nobody here is called “{}”.</p>", escape(name));
    page(users, request, &notice)
}

/// What is shown after a logout that names no place to go.
pub(super) fn signed_out() -> String {
    frame("Signed out", "<p>You are signed out of the test provider.</p>")
}

fn page(users: &[User], request: &HashMap<String, String>, notice: &str) -> String {
    let client = request.get("client_id").map_or("", String::as_str);
    let sorted: BTreeMap<_, _> = request.iter().collect();
    let mut hidden = String::new();
    for (name, value) in sorted {
        let _ = write!(hidden, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value));
    }
    let mut choices = String::new();
    for user in users {
        let login = escape(&user.login);
        let groups = user.groups.as_deref().unwrap_or_default().join(", ");
        let _ = write!(
            choices,
            "<li><button name=\"user\" value=\"{login}\"><span class=\"initial\" \
             aria-hidden=\"true\">{}</span><span><strong>{login}</strong><small>{}</small>\
             <small>{}</small></span></button></li>",
            login.chars().next().unwrap_or('?').to_uppercase(),
            escape(user.email.as_deref().unwrap_or("no e-mail address")),
            escape(&groups),
        );
    }
    let body = format!(
        "<p>Choose who you are for <strong>{}</strong>. There are no passwords here: this provider \
         exists for demonstrations and tests.</p>{notice}\
         <form method=\"post\" action=\"login\">{hidden}<ul>{choices}</ul></form>\
         <form method=\"post\" action=\"login\" class=\"typed\">{hidden}\
         <label for=\"user\">or type a name</label>\
         <div><input id=\"user\" name=\"user\" autocomplete=\"username\" required>\
         <button>Sign in</button></div></form>",
        escape(client)
    );
    frame("Sign in", &body)
}

fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} - test provider</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
