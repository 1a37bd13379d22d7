//! The key pair of the ServiceAccount tokens.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::KeyPair;

/// The file of the key that signs tokens.
pub(super) const PRIVATE_KEY: &str = "service-accounts.key";
/// The file of the key that verifies them.
pub(super) const PUBLIC_KEY: &str = "service-accounts.pub";

/// Makes the key pair of the ServiceAccount tokens (P-256, so ES256).
pub(super) fn write_keys(folder: &Path) -> Result<()> {
    let pair = KeyPair::generate()?;
    fs::write(folder.join(PRIVATE_KEY), pair.serialize_pem())?;
    fs::write(folder.join(PUBLIC_KEY), pair.public_key_pem())?;
    Ok(())
}
