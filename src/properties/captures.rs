//! What a rule takes a request to name, compared with what plain readings of the same bytes give: texts parted at their
//! separators, names and values decoded once, as servers behind do it.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::house::HOST;
use crate::{
    authz::{Capture, Separator, Template, Value, named},
    reason::Reason,
    request::{Parameter, RawRequest, Request, fully_decoded},
};

/// The parameter of an input that names none.
const PARAMETER: &str = "namespace";

/// What a text names: values by the names of their variables.
type Named = BTreeMap<String, String>;

/// Bytes as lines: a template, a path, a query, and the name of a parameter. Whatever is captured of the path is what each
/// reading of it gives, and whatever a parameter says is what every server reads.
///
/// # Panics
/// Where it does not hold.
pub fn what_is_captured_is_what_is_read(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let mut lines = input.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (template, path, query) = (line(), line(), line());
    let is_plain = |name: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        !name.is_empty() && name.bytes().all(plain)
    };
    let parameter = Some(line()).filter(is_plain).unwrap_or(PARAMETER);
    for separator in [Separator::Path, Separator::Key, Separator::Host] {
        if let Ok(read) = Template::parse(template, separator) {
            assert_eq!(Template::parse(&read.to_string(), separator), Ok(read), "{template}");
        }
    }
    let Ok(request) = Request::parse(RawRequest::new("GET", HOST, &format!("{path}?{query}"))) else { return };
    if let Ok(read) = Template::parse(template, Separator::Path) {
        of_a_path(template, read, &request);
    }
    of_a_query(&request, parameter);
    if let Ok(read) = Template::parse(template, Separator::Key) {
        of_a_key(template, read, &request, parameter);
    }
}

/// What every reading of a path names, and what is made of it by servers that decode it whole (Go's `ServeMux`) or after
/// they parted it (Express).
fn of_a_path(template: &str, read: Template, request: &Request) {
    let path = request.path();
    let captured = captured(Capture::Path(vec![read]), request);
    let Ok(readings) = path.readings() else {
        assert_eq!(captured, Err(Reason::AmbiguousPath), "{path:?}");
        return;
    };
    let each: Vec<_> = readings.iter().map(|reading| plain(template, reading)).collect();
    let expected = match each.as_slice() {
        [first, others @ ..] if others.iter().all(|other| other == first) => {
            first.clone().ok_or(Reason::ResourceMissing)
        }
        _ => Err(Reason::AmbiguousPath),
    };
    assert_eq!(captured, expected, "{template} {path:?}");
    let Ok(named) = expected else { return };
    assert_eq!(plain(template, path.raw()).as_ref(), Some(&named), "{path:?}");
    if let Ok(whole) = percent_decode_str(path.raw()).decode_utf8() {
        assert_eq!(plain(template, &whole).as_ref(), Some(&named), "{path:?}, decoded");
    }
    for (wanted, part) in template.split('/').zip(path.raw().split('/')) {
        if let Some(name) = variable(wanted) {
            let part = percent_decode_str(part).decode_utf8().ok();
            assert_eq!(part.as_deref(), named.get(name).map(String::as_str), "{path:?}, its parts decoded");
        }
    }
}

/// What a parameter says where a query is parted at `&`, at `;` too, or what holds a `;` is dropped (Go); by its name as it
/// is, without regard to case, or without brackets (PHP, `qs`).
fn of_a_query(request: &Request, parameter: &str) {
    let raw = request.query().raw().unwrap_or_default();
    let said = match request.query().for_every_server(parameter) {
        Parameter::Once(value) => vec![value],
        Parameter::Absent => Vec::new(),
        Parameter::Ambiguous => return,
    };
    let parted: [Vec<&str>; 3] = [
        raw.split('&').collect(),
        raw.split(['&', ';']).collect(),
        raw.split('&').filter(|part| !part.contains(';')).collect(),
    ];
    let is_named: [fn(&str, &str) -> bool; 4] = [
        |name, parameter| name == parameter,
        |name, parameter| name.to_lowercase() == parameter.to_lowercase(),
        |name, parameter| name.split('[').next() == Some(parameter),
        |name, parameter| qs_root(name) == parameter,
    ];
    for parts in &parted {
        for is_named in is_named {
            let pairs = parts.iter().flat_map(|part| url::form_urlencoded::parse(part.as_bytes()));
            let values = pairs.filter(|(name, _)| is_named(name, parameter)).map(|(_, value)| value.into_owned());
            assert_eq!(values.collect::<Vec<_>>(), said, "{parameter} of {raw}");
        }
    }
    assert_eq!(by_qs(raw, parameter), said, "{parameter} of {raw}, as `qs` reads it");
}

/// The values of a parameter as `qs` reads them, and so Express: of a thousand parts, in which a name may hold a `=` before
/// a `]`.
fn by_qs(raw: &str, parameter: &str) -> Vec<String> {
    let mut values = Vec::new();
    for part in raw.split('&').take(1000).filter(|part| !part.is_empty()) {
        let part = part.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]");
        let end = part.find("]=").map(|at| at + 1).or_else(|| part.find('='));
        let (name, value) = end.map_or((part.as_str(), ""), |end| (&part[..end], &part[end + 1..]));
        let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        if qs_root(&decoded(name)) == parameter {
            values.push(decoded(value));
        }
    }
    values
}

/// What a name of `qs` stands for: what is before its first brackets, or in them where nothing is.
fn qs_root(name: &str) -> &str {
    let opened = name.char_indices().filter(|(_, character)| *character == '[').find_map(|(at, _)| {
        let inner = &name[at + 1..];
        let end = inner.find(['[', ']'])?;
        inner[end..].starts_with(']').then_some((&name[..at], &inner[..end]))
    });
    match opened {
        Some(("", inner)) => inner,
        Some((before, _)) => before,
        None => name,
    }
}

/// What a key names is what it names to who decodes it to its end, and to who takes it for a path and resolves it then.
fn of_a_key(template: &str, read: Template, request: &Request, parameter: &str) {
    let value = Value::Key(vec![read]);
    let captured = captured(Capture::Query { parameter: parameter.to_owned(), value }, request);
    let Parameter::Once(key) = request.query().for_every_server(parameter) else {
        assert!(captured.is_err() || captured == Ok(Named::new()), "{captured:?}");
        return;
    };
    let Ok(named) = captured else { return };
    if key.is_empty() {
        assert_eq!(named, Named::new());
        return;
    }
    let decoded = fully_decoded(&key).expect("what has no end names nothing");
    let named = Some(named);
    assert_eq!(plain(template, &decoded), named, "{key}");
    let mut kept = Vec::new();
    for segment in decoded.split(['/', '\\']) {
        match segment {
            ".." => drop(kept.pop()),
            "" | "." => {}
            name => kept.push(name),
        }
    }
    let tail = if decoded.ends_with('/') { "/" } else { "" };
    assert_eq!(plain(template, &format!("{}{tail}", kept.join("/"))), named, "{key}, resolved");
}

fn captured(capture: Capture, request: &Request) -> Result<Named, Reason> {
    named(&[capture], request).map(|all| all.into_iter().collect())
}

/// What a text names by a template that is a good one: both parted at each `/`, and compared.
fn plain(template: &str, text: &str) -> Option<Named> {
    let mut wanted: Vec<&str> = template.split('/').collect();
    let mut parts: Vec<&str> = text.split('/').collect();
    if wanted.last() == Some(&"**") {
        wanted.pop();
        parts.truncate(wanted.len());
    }
    let mut named = Named::new();
    for (wanted, part) in wanted.iter().zip(&parts) {
        let fits = match (variable(wanted), wanted.strip_suffix('*')) {
            (Some(name), _) => named.insert(name.to_owned(), (*part).to_owned()).is_none() && !part.is_empty(),
            (None, Some(beginning)) => part.starts_with(beginning) && !part.is_empty(),
            (None, None) => wanted == part,
        };
        fits.then_some(())?;
    }
    (wanted.len() == parts.len()).then_some(named)
}

fn variable(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}
