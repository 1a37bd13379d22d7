//! A migration from its files to what comes out, whatever the product before us.

use super::{error::Cause, place, verdict, work::Work};
use crate::{
    cluster_names::{self, ClusterName, Spellings},
    gatekeepers::{Input, Inputs, Report},
    principal::escape_unseen,
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

/// Our configuration instead of a product's, whose room takes its settings one by one. What the room leaves is told, and our
/// own reading has its say.
pub(super) fn migrate(
    product: &str,
    inputs: Vec<Input>,
    asked: Option<&str>,
    names: &[ClusterName],
    room: impl FnOnce(&mut Work, &Inputs, Option<String>) -> Result<(), Cause>,
) -> Result<Migration, Cause> {
    let asked = asked.map(place::asked_origin).transpose()?;
    let inputs = Inputs::sort(inputs)?;
    let mut work = Work::default();
    room(&mut work, &inputs, asked)?;
    work.tell_rest();
    let mut file = work.draft.tree();
    verdict::agree(&mut file, &mut work.report);
    for spellings in cluster_names::spellings(names) {
        work.report.by_hand(in_one_spelling(&spellings));
    }
    work.report.by_hand(
        "then `portcullis check-config FILE`, `portcullis provider check FILE`, and the list of docs/migrating.md",
    );
    let head = format!("Written by `portcullis migrate {product}` from {}.", inputs.names().join(", "));
    let configuration = format!("# {}\n{HEAD}{}", escape_unseen(&head), file.yaml());
    Ok(Migration { configuration, report: work.report })
}

/// Services compare names to the byte, and rules do not.
fn in_one_spelling(spellings: &Spellings) -> String {
    let told = spellings.told();
    if spellings.differ() {
        format!(
            "{told} are one person here and several to services: write the provider's spelling in all of these objects"
        )
    } else {
        format!("{told}: reached with `userid_case: keep` alone, and where the provider writes it so")
    }
}
