//! What comes out.

use super::{
    report::{Report, plain},
    tree::Fields,
    verdict,
    work::Work,
};

const HEAD: &str = "# Comments name the setting that a value is from. The report says what was changed, what was dropped, and \
                    what is yours to do.\n";

/// Our configuration, and what became of each setting.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The configuration, as YAML with comments that say where each value came from. No secret is in it.
    pub configuration: String,
    /// What became of each setting.
    pub report: Report,
}

/// Ends a migration: what nobody took is told, and our own reading has its say.
pub(super) fn finish(mut work: Work, product: &str, files: &[String]) -> Migration {
    work.tell_rest();
    let mut file: Fields = work.draft.tree();
    verdict::agree(&mut file, &mut work.report);
    work.report.by_hand(
        "then `portcullis check-config FILE`, `portcullis provider check FILE`, and the list of docs/migrating.md",
    );
    let head = format!("Written by `portcullis migrate {product}` from {}.", files.join(", "));
    let configuration = format!("# {}\n{HEAD}{}", plain(&head), file.yaml());
    Migration { configuration, report: work.report }
}
