//! A secret never stands in an error or in what a setting prints.

use super::{errors, load, with};

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let hidden = [
        ("{file: /secrets/client-secret}", "hunter2-hunter2"),
        ("{file: /secrets/client-secret}", "[hunter2-hunter2]"),
        ("{file: /secrets/client-secret}", "{file: hunter2-hunter2}"),
        ("{file: /secrets/client-secret}", "{env: hunter2-hunter2}"),
        ("{file: /secrets/client-secret}", "{file: [hunter2-hunter2]}"),
        ("{file: /secrets/client-secret}", "{file: /a, env: hunter2-hunter2}"),
        ("directory: /var/lib/portcullis/keys", "{root: [hunter2-hunter2], assertion: [/assertion]}"),
        ("directory: /var/lib/portcullis/keys", "{root: hunter2-hunter2, assertion: [/assertion]}"),
        ("{file: /secrets/client-secret}", "\"hunter2-hunter2"),
        ("{file: /secrets/client-secret}", "&a *hunter2-hunter2"),
        ("https://dex.example.com/dex", "https://a:hunter2-hunter2@dex.example.com"),
        ("https://dex.example.com/dex", "https://a:hunter2-hunter2@dex example.com"),
        ("https://kubeflow.example.com", "http://a:hunter2-hunter2@kubeflow.example.com"),
        ("https://portcullis.example.com", "ftp://a:hunter2-hunter2@portcullis.example.com"),
    ];
    for (old, new) in hidden {
        let told = errors(&with(old, new));
        assert!(!told.is_empty(), "{new}");
        assert!(!told.join("\n").contains("hunter2"), "{told:?}");
    }
}

#[test]
fn settings_print_no_secret() {
    let printed = format!("{:?}", load(super::GOOD).unwrap());
    assert!(printed.contains("Secret { secret: [redacted]"), "{printed}");
    assert!(!printed.contains("kR7wq2Zp"));
}
