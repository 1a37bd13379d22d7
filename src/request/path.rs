//! Paths, and every reading of one that a server behind could come to.
//!
//! Envoy passes paths on as they came; servers behind decode, fold, cut and resolve them, each in its own way. A rule is
//! chosen for the path as it came and for every reading, and all must agree.

mod readings;

use std::slice;

pub use readings::{PathError, look_alike};

/// A path as it came, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    raw: String,
    readings: Readings,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Readings {
    /// The path is byte-clean: it alone.
    One,
    /// The path as it came first.
    Many(Vec<String>),
    None,
}

impl Path {
    /// Takes a path as it came.
    #[must_use]
    pub fn new(raw: &str) -> Self {
        let readings =
            if is_byte_clean(raw) { Readings::One } else { readings::of(raw).map_or(Readings::None, Readings::Many) };
        Self { raw: raw.to_owned(), readings }
    }

    /// The path as it came.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Whether every server reads the path alike: none of `%`, `\`, `;`, `#`, `//`, dot segments, controls or bytes that
    /// are not ASCII, nor `!`, which Envoy writes for a byte that is not UTF-8. A public rule and our own endpoints match such paths only.
    #[must_use]
    pub const fn is_byte_clean(&self) -> bool {
        matches!(self.readings, Readings::One)
    }

    /// Whether any reading holds a `..` segment. Servers resolve these in too many ways to think of each (with empty
    /// segments kept or merged, before or after `;…` is cut), and no honest client sends one: browsers resolve them first.
    #[must_use]
    pub fn climbs(&self) -> bool {
        // Windows drops spaces at a name's end.
        let up = |segment: &str| segment.trim_end_matches(' ') == "..";
        match &self.readings {
            Readings::One => false,
            Readings::Many(readings) => readings.iter().any(|path| path.split(['/', '\\']).any(up)),
            Readings::None => self.raw.split(['/', '\\']).any(up),
        }
    }

    /// Every reading that a server behind could come to, the path as it came first: what any sequence of decoding, of
    /// taking `\` for `/`, of cutting parameters and what a decoded `#` or `?` begins, and of resolving makes of it.
    /// A byte-clean path has one.
    ///
    /// # Errors
    /// Where a reading is not UTF-8 or holds a control, or there are too many.
    pub fn readings(&self) -> Result<&[String], PathError> {
        match &self.readings {
            Readings::One => Ok(slice::from_ref(&self.raw)),
            Readings::Many(readings) => Ok(readings),
            Readings::None => Err(PathError),
        }
    }
}

fn is_byte_clean(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'\\' | b';' | b'#' | b'?' | b'!');
    let inner = path.strip_prefix('/').unwrap_or(path);
    let mut segments = inner.split('/').peekable();
    let mut segments_clean = true;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        segments_clean &= !matches!(segment, "." | "..") && (last || !segment.is_empty());
    }
    path.starts_with('/') && path.bytes().all(plain) && segments_clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_as(raw: &str, reading: &str) -> bool {
        Path::new(raw).readings().unwrap().iter().any(|have| have == reading)
    }

    #[test]
    fn what_any_server_makes_of_a_path_is_a_reading() {
        for (raw, reading) in [
            ("/api/..;/public", "/public"),
            ("/public%2f..%2fapi", "/api"),
            ("/public/../api", "/api"),
            ("/public/%2e%2e/api", "/api"),
            ("/public/%252e%252e/api", "/api"),
            ("//public", "/public"),
            ("/public/..\\api", "/api"),
            ("/public%5c..%5capi", "/api"),
            ("/a;x=1/b;y", "/a/b"),
            ("/a/..", "/"),
            ("/../../a", "/a"),
            ("/my%20file", "/my file"),
            ("/100%", "/100%"),
            ("/%zz", "/%zz"),
            // `;` to the end of the path.
            ("/admin;/x", "/admin"),
            ("/admin;a=b/x", "/admin"),
            ("/admin%3b/x", "/admin"),
            ("/%61dmin%253b/x", "/admin"),
            // Cut first and decoded then, and the other way round.
            ("/a;%2fb/c", "/a/c"),
            ("/a;%2fb/c", "/a/b/c"),
            ("/a%2fb;c%2fd", "/a/b"),
            // IIS's %uXXXX, alone, encoded over itself, and beside the usual one.
            ("/%u0061dmin", "/admin"),
            ("/%U0061dmin", "/admin"),
            ("/%25u0061dmin", "/admin"),
            ("/%u00%36%31dmin", "/admin"),
            ("/%u0025%36%31dmin", "/admin"),
            ("/x/%u002e%u002e/admin", "/admin"),
            ("/%ud83d%ude00", "/\u{1f600}"),
            // What folds into ASCII where texts are brought into a normal form.
            ("/%EF%BD%81dmin", "/admin"),
            ("/admin%EF%BC%8Fx", "/admin/x"),
            ("/admin%EF%BC%9B/x", "/admin"),
            ("/%EF%BC%8561dmin", "/admin"),
            ("/%uff0e%uff0e/admin", "/admin"),
        ] {
            assert!(reads_as(raw, reading), "{raw}: {:?}", Path::new(raw).readings());
        }
    }

    #[test]
    fn a_server_that_parses_what_it_decoded_is_thought_of() {
        for raw in ["/api%23/x", "/api%3f/x", "/api%2523x", "/public/../api%23/x"] {
            assert!(reads_as(raw, "/api"), "{raw}: {:?}", Path::new(raw).readings());
        }
    }

    #[test]
    fn a_path_without_a_plain_reading_has_none() {
        let deep = format!("/%{}2e", "25".repeat(80));
        let wide: Vec<String> = (0..80).map(|n| format!("/%2525{n};a%253bb\\%u0025{n}")).collect();
        let wide = wide.concat();
        for raw in
            ["/public%00", "/%c0%afpublic", "/%0d%0a", "/%ff", "/%u0000", "/%u000a", deep.as_str(), wide.as_str()]
        {
            assert_eq!(Path::new(raw).readings(), Err(PathError), "{raw}");
            assert_eq!(Path::new(raw).raw(), raw);
        }
    }

    #[test]
    fn what_honest_clients_send_has_few_readings() {
        for (raw, most) in [
            ("/files/my%20file", 2),
            ("/files/report;v=2.txt", 2),
            ("/files/a;b/c;d", 4),
            ("/files/100%25", 2),
            ("/files/%25uniform", 2),
            ("/files/caf%C3%A9", 2),
            ("/files/%E5%96%B6%E6%A5%AD%E3%80%80%E9%83%A8", 3),
            ("/proxy/https%3A%2F%2Fhost.example%2Fpage%3Fa%3Db%23c", 8),
            ("/app;jsessionid=1A2B/page%20one", 6),
        ] {
            let path = Path::new(raw);
            let readings = path.readings().unwrap();
            assert!(readings.len() <= most && !path.climbs(), "{raw}: {readings:?}");
        }
    }

    #[test]
    fn a_path_that_climbs_in_any_reading_climbs() {
        for raw in [
            "/..",
            "/x/../y",
            "/x/%2e%2e/y",
            "/x\\..\\y",
            "/x/..;a/y",
            "/x/..%23",
            "/x/..%20/y",
            "/x/%u002e%u002e/y",
            "/x/%uff0e%uff0e/y",
            "/x/%E2%80%A5/y",
        ] {
            assert!(Path::new(raw).climbs(), "{raw}");
        }
        for raw in ["/...", "/x/..y", "/a..b%20", "/%2e", "/x/...%20"] {
            assert!(!Path::new(raw).climbs(), "{raw}");
        }
    }

    #[test]
    fn byte_clean_means_one_reading() {
        for clean in ["/", "/a", "/a/", "/a/b.c/d~e$&'()*+,:@=", "/.well-known/x", "/..."] {
            assert!(Path::new(clean).is_byte_clean(), "{clean}");
            assert_eq!(readings::of(clean).unwrap(), [clean]);
        }
        for dirty in [
            "/a%20", "/a\\b", "/a;b", "/a#b", "/a!", "//", "//a", "/a//b", "/a/./b", "/a/..", "/..", "/.", "/ü",
            "/a\u{1}", "",
        ] {
            assert!(!Path::new(dirty).is_byte_clean(), "{dirty}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_reading_of_a_reading_is_one(raw in "/[a-z%2uU3bB0eEfF5cC;./\\\\#．]{0,24}") {
            let path = Path::new(&raw);
            for reading in path.readings().unwrap_or_default() {
                let further = readings::of(reading).unwrap();
                proptest::prop_assert!(further.iter().all(|reading| path.readings().unwrap().contains(reading)));
            }
        }

        #[test]
        fn a_byte_clean_path_has_one_reading(raw in "/[ -~]{0,40}") {
            if is_byte_clean(&raw) {
                proptest::prop_assert_eq!(readings::of(&raw).unwrap(), vec![raw]);
            }
        }

        #[test]
        fn the_readings_of_a_path_are_bounded(raw in "/(%25|%2f|%3b|;|\\\\|%u0025|%u002f|//|/\\./|#|%23|a|2|u|．){0,2000}") {
            let path = Path::new(&raw);
            let readings = path.readings().unwrap_or_default();
            let bytes: usize = readings.iter().map(String::len).sum();
            proptest::prop_assert!(readings.len() <= readings::MOST && bytes <= readings::MOST_BYTES + raw.len());
        }
    }
}
